import { expect, it } from 'vitest';
import { DomainError, errorCatalogue, problemOf, toProblem } from './index.js';

it('shows a domain error with its code, status and details', () => {
  const problem = problemOf(new DomainError('CONFLICT', 'Campaign has changed', { currentVersion: 3 }));
  expect(problem).toEqual({
    type: 'urn:pca-agent:error:CONFLICT',
    title: errorCatalogue.CONFLICT.title,
    status: 409,
    code: 'CONFLICT',
    detail: 'Campaign has changed',
    currentVersion: 3,
  });
});

it('says nothing of an unexpected error', () => {
  const problem = problemOf(new Error('select * from secret at /srv/app.ts'));
  expect(problem).toMatchObject({ status: 500, code: 'INTERNAL_SERVER_ERROR' });
  expect(JSON.stringify(problem)).not.toMatch(/select|\/srv/);
});

it('does not let details overwrite code and status', () => {
  expect(toProblem('NOT_FOUND', 'no', { status: 200, code: 'OK' })).toMatchObject({ status: 404, code: 'NOT_FOUND' });
});
