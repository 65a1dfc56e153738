import { seededRandom, type SeededRandom } from '@pca/testing';
import {
  buildSchema,
  type DocumentNode,
  type FragmentDefinitionNode,
  getNamedType,
  type GraphQLObjectType,
  isLeafType,
  Kind,
  parse,
  type SelectionSetNode,
} from 'graphql';
import { expect, it } from 'vitest';
import { assumedListLength, measureQuery, type QuerySize } from './query-size.js';

const schema = buildSchema(`
  directive @d on FIELD | INLINE_FRAGMENT | FRAGMENT_SPREAD
  type Query { item: Item items(limit: Int = 7): [Item!]! page(first: Int): Page bare: [Item] grid: [[Item!]!]! number: Int names: [String!]! }
  type Item { id: ID! value(x: [Int!]): Int items(first: Int, last: Int): [Item!] page(first: Int = 3): Page! owner: Item }
  type Page { total: Int! edges: [Edge!]! nodes: [Item!]! }
  type Edge { cursor: String! node: Item! }
`);

const sizeOf = (query: string, variables: Record<string, unknown> = {}): QuerySize => measureQuery(parse(query), schema, variables).size;

it.each([
  ['{ number }', 0],
  ['{ item { id } }', 1],
  ['{ names }', 0],
  ['{ bare { id } }', assumedListLength],
  ['{ items { id } }', 7],
  ['{ items(limit: 3) { id } }', 3],
  ['{ items(limit: 0) { owner { id } } }', 0],
  ['{ items(limit: -5) { id } }', 0],
  ['{ items(limit: 3) { owner { id } items(first: 4, last: 2) { id } } }', 3 * (1 + 1 + 2)],
  ['{ page(first: 5) { total edges { node { id } } } }', 1 + 5 * (1 + 1)],
  ['{ page { nodes { id } } }', 1 + assumedListLength],
  ['{ grid { id } }', assumedListLength ** 2],
  ['query($n: Int) { items(limit: $n) { id } }', 9, { n: 9 }],
  ['query($n: Int = 4) { items(limit: $n) { id } }', 4],
  ['{ page(first: 5) { ...P } other: page(first: 2) { ...P } } fragment P on Page { nodes { id } }', 1 + 5 + 1 + 2],
  ['{ __schema { types { fields { name } } } }', 0],
])('says what %s may cost', (query, cost, variables: Record<string, unknown> = {}) => {
  expect(sizeOf(query, variables).cost).toBe(cost);
});

it('counts what else is limited', () => {
  const query = `query A($x: [Int!] = [1, 2, 3] @d) @d { a: item { b: value(x: [1, 2]) ...F @d ... on Item @d { id } } __schema { types { name } } }
    query B { item { owner { owner { id } } } } fragment F on Item @d { owner { value(x: [[[1]]]) } }`;
  expect(sizeOf(query)).toEqual({
    depth: 4,
    introspectionDepth: 3,
    cost: 3,
    aliases: 2,
    directives: 5,
    selections: 14,
    rootFields: 2,
    listItems: 3,
    valueDepth: 4,
  });
});

it('takes fragments that spread themselves as empty, and ones that are not there too', () => {
  expect(sizeOf('{ item { ...A } } fragment A on Item { owner { ...B } } fragment B on Item { owner { ...A ...Nobody } }').depth).toBe(3);
});

it('measures a doubling of sixty levels at once', () => {
  const fragments = Array.from({ length: 60 }, (_, n) => `fragment F${n} on Item { owner { ...F${n + 1} } o: owner { ...F${n + 1} } }`);
  const size = sizeOf(`{ item { ...F0 } } ${fragments.join(' ')} fragment F60 on Item { id }`);
  expect(size.selections).toBe(Number.MAX_SAFE_INTEGER);
  expect(size.depth).toBe(62);
});

it('refuses a NUL in a literal', () => {
  expect(() => sizeOf(String.raw`{ item { value(x: ["a\u0000"]) } }`)).toThrow('NUL');
});

/** The same numbers by writing every fragment out. */
const bruteForce = (document: DocumentNode, variables: Record<string, unknown>): QuerySize => {
  const fragments = new Map(
    document.definitions
      .filter((node): node is FragmentDefinitionNode => node.kind === Kind.FRAGMENT_DEFINITION)
      .map((node) => [node.name.value, node]),
  );
  const total = {
    depth: 0,
    introspectionDepth: 0,
    cost: 0,
    aliases: 0,
    directives: 0,
    selections: 0,
    rootFields: 0,
    listItems: 0,
    valueDepth: 0,
  };
  const visit = (set: SelectionSetNode, type: GraphQLObjectType, depth: number, around: number | undefined): number => {
    let cost = 0;
    for (const node of set.selections) {
      total.selections += 1;
      total.directives += node.directives?.length ?? 0;
      if (node.kind === Kind.FRAGMENT_SPREAD) {
        total.directives += fragments.get(node.name.value)!.directives?.length ?? 0;
        cost += visit(fragments.get(node.name.value)!.selectionSet, type, depth, around);
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        cost += visit(node.selectionSet, type, depth, around);
      } else {
        total.depth = Math.max(total.depth, depth + 1);
        total.aliases += node.alias ? 1 : 0;
        const field = type.getFields()[node.name.value]!;
        const bounds = field.args
          .filter(({ name }) => name !== 'x')
          .flatMap(({ name, defaultValue }) => {
            const given = node.arguments?.find((argument) => argument.name.value === name)?.value;
            if (!given) return typeof defaultValue === 'number' ? [defaultValue] : [];
            return given.kind === Kind.INT
              ? [Number(given.value)]
              : given.kind === Kind.VARIABLE
                ? [variables[given.name.value] as number]
                : [];
          });
        const bound = bounds.length > 0 ? Math.min(...bounds) : undefined;
        const isList = String(field.type).startsWith('[');
        total.valueDepth = Math.max(total.valueDepth, node.arguments?.length ? 1 : 0);
        if (!node.selectionSet) continue;
        const below = visit(node.selectionSet, getNamedType(field.type) as GraphQLObjectType, depth + 1, isList ? undefined : bound);
        const levels = String(field.type).startsWith('[[') ? 2 : 1;
        cost += (isList ? (bound ?? around ?? assumedListLength) * assumedListLength ** (levels - 1) : 1) * (1 + below);
      }
    }
    return cost;
  };
  for (const node of document.definitions) {
    if (node.kind !== Kind.OPERATION_DEFINITION) continue;
    total.rootFields = Math.max(total.rootFields, node.selectionSet.selections.length);
    total.cost = Math.max(total.cost, visit(node.selectionSet, schema.getQueryType()!, 0, undefined));
  }
  return total;
};

/** A random document; fragments spread only later ones, so that they end. */
const randomQuery = (random: SeededRandom): string => {
  const oneIn = (chances: number): boolean => random.int(chances) === 0;
  const fragmentTypes = Array.from({ length: random.int(5) }, () => random.pick(['Item', 'Page', 'Edge']));
  const size = (): string => (oneIn(3) ? '$n' : String(random.int(10)));
  const field = (type: GraphQLObjectType, depth: number, fragmentsFrom: number, directive: string): string => {
    const {
      name,
      args,
      type: of,
    } = random.pick(Object.values(type.getFields()).filter((candidate) => depth > 0 || isLeafType(getNamedType(candidate.type))));
    const sizes = args.filter((argument) => argument.name !== 'x' && oneIn(2)).map((argument) => `${argument.name}: ${size()}`);
    const inner = getNamedType(of);
    const below = isLeafType(inner) ? '' : ` { ${selections(inner.name, depth - 1, fragmentsFrom)} }`;
    return `${oneIn(4) ? `a${random.int(99)}: ` : ''}${name}${sizes.length > 0 ? `(${sizes.join(', ')})` : ''}${directive}${below}`;
  };
  const selections = (typeName: string, depth: number, fragmentsFrom: number): string =>
    Array.from({ length: 1 + random.int(4) }, () => {
      const directive = oneIn(6) ? ' @d' : '';
      const spreadable = fragmentTypes.flatMap((name, index) => (name === typeName && index >= fragmentsFrom ? [index] : []));
      if (spreadable.length > 0 && oneIn(3)) return `...F${random.pick(spreadable)}${directive}`;
      if (depth > 0 && oneIn(7))
        return `...${oneIn(2) ? ` on ${typeName}` : ''}${directive} { ${selections(typeName, depth - 1, fragmentsFrom)} }`;
      return field(schema.getType(typeName) as GraphQLObjectType, depth, fragmentsFrom, directive);
    }).join(' ');
  const fragments = fragmentTypes.map(
    (name, index) => `fragment F${index} on ${name}${oneIn(4) ? ' @d' : ''} { ${selections(name, 2, index + 1)} }`,
  );
  const operations = Array.from({ length: 1 + random.int(2) }, (_, index) => `query Q${index}($n: Int) { ${selections('Query', 4, 0)} }`);
  return [...operations, ...fragments].join('\n');
};

it('measures random documents as writing their fragments out does', () => {
  const random = seededRandom('query sizes');
  for (let run = 0; run < 500; run++) {
    const query = randomQuery(random);
    const variables = { n: random.int(50) };
    expect(sizeOf(query, variables), `run ${run}: ${query}`).toEqual(bruteForce(parse(query), variables));
  }
});
