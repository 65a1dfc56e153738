import { DomainError } from '@pca/errors';
import type { QuerySize } from './query-size.js';

/** The largest query that is executed; the names stand in the error's details. */
export interface QueryLimits extends QuerySize {
  readonly tokens: number;
}

/** Introspection as GraphiQL asks for it is 14 levels deep. */
export const introspectionDepthMax = 20;
export const valueDepthMax = 32;

export const tooComplex = (limit: string, max: number, actual?: number): DomainError =>
  new DomainError(
    'QUERY_TOO_COMPLEX',
    `The query exceeds the limit on ${limit}: ${max} at most${actual === undefined ? '' : `, ${actual} asked for`}`,
    {
      limit,
      max,
      ...(actual !== undefined && { actual }),
    },
  );

/** Throws QUERY_TOO_COMPLEX with the first limit that the size exceeds. */
export const requireWithin = (size: QuerySize, limits: QueryLimits): void => {
  for (const limit of Object.keys(size) as (keyof QuerySize)[]) {
    if (size[limit] > limits[limit]) throw tooComplex(limit, limits[limit], size[limit]);
  }
};

export interface VariableLimits {
  readonly listItems: number;
  readonly valueDepth: number;
}

/**
 * Throws QUERY_TOO_COMPLEX for a list that is too long or nesting that is too deep, and BAD_USER_INPUT for a NUL character, which no store
 * of text takes. `path` names the place in the message.
 */
export const checkVariables = (value: unknown, limits: VariableLimits, path = 'variables', depth = 0): void => {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw new DomainError('BAD_USER_INPUT', `${path} holds a NUL character`);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth > limits.valueDepth) throw tooComplex('valueDepth', limits.valueDepth);
  if (Array.isArray(value)) {
    if (value.length > limits.listItems) throw tooComplex('listItems', limits.listItems, value.length);
    for (let index = 0; index < value.length; index++) checkVariables(value[index], limits, path, depth + 1);
    return;
  }
  for (const key in value) checkVariables((value as Record<string, unknown>)[key], limits, depth < 2 ? `${path}.${key}` : path, depth + 1);
};
