import { expect, it } from 'vitest';
import { domainErrorOfDatabase } from './postgres-errors.js';

const failure = (code: string | undefined, message = 'as the driver says it'): Error => Object.assign(new Error(message), { code });

// Broken by: a database that is away taken for a fault of what was asked of it, which would count against a message of the bus.
it.each([
  ...['08006', '25006', '28P01', '3D000', '40001', '40P01', '53100', '53200', '53300', '55P03', '57P01', '57P03', '57P04', '58030'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EAI_AGAIN'],
])('takes %s for a database that is away or busy', (code) => {
  expect(domainErrorOfDatabase(failure(code))).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  const wrapped = Object.assign(new Error('QueryFailedError'), { driverError: { code } });
  expect(domainErrorOfDatabase(wrapped)).toMatchObject({ code: 'SERVICE_UNAVAILABLE', cause: wrapped });
});

it('takes a socket that is not there, or full, for a database that is away, and no other file', () => {
  for (const code of ['ENOENT', 'EAGAIN'])
    expect(domainErrorOfDatabase(Object.assign(failure(code), { syscall: 'connect' }))).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(domainErrorOfDatabase(Object.assign(failure('ENOENT'), { syscall: 'open' }))).toBeUndefined();
});

it.each([
  ['23505', 'CONFLICT'],
  ['22003', 'BAD_USER_INPUT'],
  ['57014', 'TIMEOUT'],
])('takes %s for %s', (sqlState, code) => {
  expect(domainErrorOfDatabase(failure(sqlState))).toMatchObject({ code });
});

it.each(['42P01', '23503', undefined])('leaves %s as it is', (code) => {
  expect(domainErrorOfDatabase(failure(code))).toBeUndefined();
  expect(domainErrorOfDatabase('no error')).toBeUndefined();
});

it('knows a lost connection by what pg and TypeORM say of it', () => {
  for (const message of ['Connection terminated unexpectedly', 'timeout exceeded when trying to connect'])
    expect(domainErrorOfDatabase(failure(undefined, message))).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
});
