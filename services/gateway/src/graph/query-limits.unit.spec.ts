import { DomainError } from '@pca/errors';
import { expect, it } from 'vitest';
import { checkVariables, requireWithin, tooComplex } from './query-limits.js';

const limits = {
  depth: 3,
  introspectionDepth: 3,
  cost: 10,
  aliases: 2,
  directives: 2,
  selections: 9,
  rootFields: 2,
  listItems: 3,
  valueDepth: 2,
  tokens: 9,
};
const codeOf = (work: () => void): unknown => {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof DomainError ? { code: error.code, ...error.details } : error;
  }
};

it('lets a size pass that meets every limit exactly, and names the first one that is exceeded', () => {
  const { tokens: _tokens, ...size } = limits;
  expect(codeOf(() => requireWithin(size, limits))).toBeUndefined();
  for (const limit of Object.keys(size) as (keyof typeof size)[]) {
    expect(codeOf(() => requireWithin({ ...size, [limit]: size[limit] + 1 }, limits))).toEqual({
      code: 'QUERY_TOO_COMPLEX',
      limit,
      max: limits[limit],
      actual: limits[limit] + 1,
    });
  }
  expect(tooComplex('tokens', 5).message).toBe('The query exceeds the limit on tokens: 5 at most');
});

it('checks variables at every depth that is allowed', () => {
  expect(codeOf(() => checkVariables({ a: [1, 2, 3], b: { c: 'x' }, d: null, e: 1.5, f: true }, limits))).toBeUndefined();
  expect(codeOf(() => checkVariables({ a: [1, 2, 3, 4] }, limits))).toMatchObject({ limit: 'listItems', max: 3, actual: 4 });
  expect(codeOf(() => checkVariables({ a: { b: { c: {} } } }, limits))).toMatchObject({ limit: 'valueDepth', max: 2 });
  expect(() => checkVariables({ a: { b: 'x\0y' } }, limits)).toThrow('variables.a.b holds a NUL character');
  expect(codeOf(() => checkVariables({ a: ['\0'] }, limits))).toMatchObject({ code: 'BAD_USER_INPUT' });
});
