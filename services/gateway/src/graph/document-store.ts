import { createHash } from 'node:crypto';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
  type ValidationRule,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { type QueryLimits, requireWithin, tooComplex } from './query-limits.js';
import { measureQuery } from './query-size.js';

export interface AcceptedDocument {
  readonly hash: string;
  readonly document: DocumentNode;
  /** Variables that the cost depends on. */
  readonly sizeVariables: readonly string[];
  /** Values of them for which the cost was found within the limits: with smaller ones it is so too. */
  costedFor: Readonly<Record<string, unknown>>;
}

/** Why a document is refused: one error of our own, or those of the language. */
export class DocumentRefusal extends Error {
  constructor(
    readonly code: 'GRAPHQL_PARSE_FAILED' | 'GRAPHQL_VALIDATION_FAILED',
    readonly errors: readonly GraphQLError[],
  ) {
    super(code);
  }
}

const documentsMax = 2_000;
const charactersMax = 16_777_216;
const validationErrorsMax = 20;

/**
 * Documents that were parsed, found within the limits and valid, by their text. The limits come before validation, because validating is
 * quadratic in what they bound. What is refused is not kept, so that nobody can push the accepted ones out for nothing.
 */
export class DocumentStore {
  private readonly accepted = new LRUCache<string, AcceptedDocument>({
    max: documentsMax,
    maxSize: charactersMax,
    sizeCalculation: (_document, source) => source.length + 1,
  });
  private readonly rules: readonly ValidationRule[];

  constructor(
    private readonly limits: QueryLimits,
    introspection: boolean,
  ) {
    this.rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  }

  /** To be called with every new schema: a document may be valid for one and not for the next. */
  clear(): void {
    this.accepted.clear();
  }

  /** Throws DocumentRefusal, or DomainError QUERY_TOO_COMPLEX or BAD_USER_INPUT. */
  accept(source: string, schema: GraphQLSchema, variables: Readonly<Record<string, unknown>>): AcceptedDocument {
    const known = this.accepted.get(source);
    if (known) {
      if (known.sizeVariables.some((name) => mayCostMore(variables[name], known.costedFor[name]))) {
        requireWithin(measureQuery(known.document, schema, variables).size, this.limits);
        known.costedFor = picked(variables, known.sizeVariables);
      }
      return known;
    }
    const document = this.parse(source);
    const { size, sizeVariables } = measureQuery(document, schema, variables);
    requireWithin(size, this.limits);
    const errors = validate(schema, document, this.rules, { maxErrors: validationErrorsMax });
    if (errors.length > 0) throw new DocumentRefusal('GRAPHQL_VALIDATION_FAILED', errors);
    const hash = createHash('sha256').update(source).digest('hex');
    const made: AcceptedDocument = { hash, document, sizeVariables, costedFor: picked(variables, sizeVariables) };
    this.accepted.set(source, made);
    return made;
  }

  private parse(source: string): DocumentNode {
    try {
      return parse(source, { maxTokens: this.limits.tokens });
    } catch (error) {
      if (error instanceof GraphQLError && !/^Syntax Error: Document contains more that/.test(error.message))
        throw new DocumentRefusal('GRAPHQL_PARSE_FAILED', [error]);
      if (error instanceof GraphQLError) throw tooComplex('tokens', this.limits.tokens);
      // The parser recurses: what is nested deeper than the stack is nested too deep.
      if (error instanceof RangeError) throw tooComplex('depth', this.limits.depth);
      throw error;
    }
  }
}

const mayCostMore = (value: unknown, costed: unknown): boolean =>
  value !== costed && !(typeof value === 'number' && typeof costed === 'number' && value <= costed);

const picked = (variables: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, variables[name]]));
