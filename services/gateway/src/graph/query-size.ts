import { DomainError } from '@pca/errors';
import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';

/**
 * How large a document is, with its fragments expanded. Counts are sums over all its operations, depth and cost belong to the largest one.
 */
export interface QuerySize {
  /** Levels of fields below the operation; introspection counts apart. */
  readonly depth: number;
  readonly introspectionDepth: number;
  /** Objects that the answer may hold, see README. */
  readonly cost: number;
  readonly aliases: number;
  readonly directives: number;
  /** Fields, fragment spreads and inline fragments. */
  readonly selections: number;
  readonly rootFields: number;
  /** Items of the longest list literal. */
  readonly listItems: number;
  readonly valueDepth: number;
}

export interface Measured {
  size: QuerySize;
  /** Names of the variables that the cost depends on; it never falls when one of them rises. */
  sizeVariables: readonly string[];
}

/** Length that a list is taken to have when the query does not bound it. */
export const assumedListLength = 20;
const sizeArguments = ['first', 'last', 'limit'];
/** A literal nested deeper than this is not walked further. */
const valueDepthWalked = 100;

type Partial = { -readonly [K in keyof QuerySize]: number };
const nothing = (): Partial => ({
  depth: 0,
  introspectionDepth: 0,
  cost: 0,
  aliases: 0,
  directives: 0,
  selections: 0,
  rootFields: 0,
  listItems: 0,
  valueDepth: 0,
});

/**
 * Throws BAD_USER_INPUT for a NUL character or an infinite number in a literal. Measures in one walk: each fragment once per list length
 * around it, cyclic ones as if they were empty, so that the time is linear.
 */
export const measureQuery = (document: DocumentNode, schema: GraphQLSchema, variables: Readonly<Record<string, unknown>>): Measured => {
  const walk = new Walk(document, schema, variables);
  const size = nothing();
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const operation = walk.operation(definition);
    add(size, operation, Math.max);
    size.rootFields = Math.max(size.rootFields, definition.selectionSet.selections.length);
  }
  return { size: clamped(size), sizeVariables: [...walk.sizeVariables] };
};

class Walk {
  readonly sizeVariables = new Set<string>();
  private readonly fragments = new Map<string, FragmentDefinitionNode>();
  private readonly measured = new Map<string, Partial>();
  private defaults = new Map<string, ValueNode>();

  constructor(
    document: DocumentNode,
    private readonly schema: GraphQLSchema,
    private readonly variables: Readonly<Record<string, unknown>>,
  ) {
    for (const definition of document.definitions)
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.fragments.set(definition.name.value, definition);
  }

  operation(node: OperationDefinitionNode): Partial {
    this.defaults = new Map(
      node.variableDefinitions?.flatMap(({ variable, defaultValue }) => (defaultValue ? [[variable.name.value, defaultValue]] : [])),
    );
    this.measured.clear();
    const size = this.selections(node.selectionSet, this.schema.getRootType(node.operation) ?? undefined, undefined);
    size.directives += node.directives?.length ?? 0;
    for (const { directives, defaultValue } of node.variableDefinitions ?? []) {
      size.directives += directives?.length ?? 0;
      if (defaultValue) measureValue(defaultValue, size, 1);
    }
    return size;
  }

  private selections({ selections }: SelectionSetNode, parent: GraphQLNamedType | undefined, around: number | undefined): Partial {
    const size = nothing();
    for (const selection of selections) {
      size.selections += 1;
      size.directives += selection.directives?.length ?? 0;
      for (const directive of selection.directives ?? []) measureArguments(directive.arguments, size);
      add(size, this.selection(selection, parent, around), sum);
    }
    return size;
  }

  private selection(selection: SelectionNode, parent: GraphQLNamedType | undefined, around: number | undefined): Partial {
    if (selection.kind === Kind.FIELD) return this.field(selection, parent, around);
    if (selection.kind === Kind.FRAGMENT_SPREAD) return this.fragment(selection.name.value, around);
    const type = selection.typeCondition ? this.schema.getType(selection.typeCondition.name.value) : parent;
    return this.selections(selection.selectionSet, type, around);
  }

  private fragment(name: string, around: number | undefined): Partial {
    const key = `${name} ${around ?? ''}`;
    const known = this.measured.get(key);
    if (known) return known;
    this.measured.set(key, nothing());
    const node = this.fragments.get(name);
    if (!node) return nothing();
    const size = this.selections(node.selectionSet, this.schema.getType(node.typeCondition.name.value), around);
    size.directives += node.directives?.length ?? 0;
    this.measured.set(key, size);
    return size;
  }

  private field(node: FieldNode, parent: GraphQLNamedType | undefined, around: number | undefined): Partial {
    const name = node.name.value;
    const introspection = name.startsWith('__');
    const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined;
    const type = field && getNamedType(field.type);
    const bound = this.bound(node, field);
    const lists = field ? listLevels(field.type) : 0;
    // A page is an object with a list in it: its bound holds for the lists one level down.
    const size = node.selectionSet ? this.selections(node.selectionSet, type, lists === 0 ? bound : undefined) : nothing();
    const objects = lists === 0 ? 1 : (bound ?? around ?? assumedListLength) * assumedListLength ** (lists - 1);
    const counted = node.selectionSet && (type === undefined || isCompositeType(type));
    size.cost = counted && !introspection ? objects * (1 + size.cost) : 0;
    if (introspection) [size.introspectionDepth, size.depth] = [Math.max(size.depth, size.introspectionDepth) + 1, 0];
    else size.depth += 1;
    size.aliases += node.alias ? 1 : 0;
    measureArguments(node.arguments, size);
    return size;
  }

  /** How many items the query asks for at most: the smallest of first, last and limit; undefined when it does not say. */
  private bound(node: FieldNode, field: GraphQLField<unknown, unknown> | undefined): number | undefined {
    const bounds: number[] = [];
    for (const argument of field?.args ?? []) {
      if (!sizeArguments.includes(argument.name)) continue;
      const given = node.arguments?.find(({ name }) => name.value === argument.name)?.value;
      const value = given ? this.numberOf(given) : argument.defaultValue;
      if (typeof value === 'number') bounds.push(Math.max(0, value));
    }
    return bounds.length > 0 ? Math.min(...bounds) : undefined;
  }

  private numberOf(node: ValueNode): unknown {
    if (node.kind === Kind.INT) return Number(node.value);
    if (node.kind !== Kind.VARIABLE) return undefined;
    this.sizeVariables.add(node.name.value);
    const given = this.variables[node.name.value];
    if (given !== undefined) return given;
    const byDefault = this.defaults.get(node.name.value);
    return byDefault?.kind === Kind.INT ? Number(byDefault.value) : undefined;
  }
}

const listLevels = (type: GraphQLOutputType): number => {
  if (isNonNullType(type)) return listLevels(type.ofType);
  return isListType(type) ? 1 + listLevels(type.ofType) : 0;
};

const measureArguments = (nodes: readonly ArgumentNode[] | undefined, size: Partial): void => {
  for (const { value } of nodes ?? []) measureValue(value, size, 1);
};

const measureValue = (node: ValueNode, size: Partial, depth: number): void => {
  size.valueDepth = Math.max(size.valueDepth, depth);
  if (depth > valueDepthWalked) return;
  // The language allows it as an escape, and no store of text takes it.
  if (node.kind === Kind.STRING && node.value.includes('\0')) throw new DomainError('BAD_USER_INPUT', 'The query holds a NUL character');
  if ((node.kind === Kind.FLOAT || node.kind === Kind.INT) && !Number.isFinite(Number(node.value)))
    throw new DomainError('BAD_USER_INPUT', 'The query holds a number that is too large');
  if (node.kind === Kind.LIST) {
    size.listItems = Math.max(size.listItems, node.values.length);
    for (const item of node.values) measureValue(item, size, depth + 1);
  } else if (node.kind === Kind.OBJECT) {
    for (const { value } of node.fields) measureValue(value, size, depth + 1);
  }
};

const sum = (left: number, right: number): number => left + right;

/** `cost` is a sum within a selection and the larger one between operations. */
const add = (size: Partial, other: Partial, costs: (left: number, right: number) => number): void => {
  size.depth = Math.max(size.depth, other.depth);
  size.introspectionDepth = Math.max(size.introspectionDepth, other.introspectionDepth);
  size.cost = costs(size.cost, other.cost);
  size.aliases += other.aliases;
  size.directives += other.directives;
  size.selections += other.selections;
  size.listItems = Math.max(size.listItems, other.listItems);
  size.valueDepth = Math.max(size.valueDepth, other.valueDepth);
};

/** Fragments that spread each other double at every level; what no longer is an exact number is shown as the largest one. */
const clamped = (size: Partial): QuerySize => {
  for (const key of Object.keys(size) as (keyof QuerySize)[]) size[key] = Math.min(size[key], Number.MAX_SAFE_INTEGER);
  return size;
};
