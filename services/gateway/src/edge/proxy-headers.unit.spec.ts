import { expect, it } from 'vitest';
import { requestHeadersFor, responseHeadersFrom } from './proxy-headers.js';

it('drops what belongs to one connection, also what the connection header names', () => {
  const headers = {
    connection: 'close, X-Mine',
    'x-mine': '1',
    'keep-alive': 'timeout=5',
    'transfer-encoding': 'chunked',
    upgrade: 'h2c',
    te: 'trailers',
    accept: '*/*',
  };
  expect(requestHeadersFor(headers, 'r1', null)).toEqual({ accept: '*/*', 'x-request-id': 'r1' });
});

it('says itself what a client might say falsely', () => {
  const headers = {
    host: 'x',
    cookie: 'a',
    'x-forwarded-for': '1.1.1.1',
    'x-request-id': 'theirs',
    traceparent: 'theirs',
    tracestate: 'theirs',
    'idempotency-key': 'k',
    authorization: 'Bearer t',
  };
  expect(requestHeadersFor(headers, 'ours', 'ours')).toEqual({
    'idempotency-key': 'k',
    authorization: 'Bearer t',
    'x-request-id': 'ours',
    traceparent: 'ours',
  });
});

it('keeps the headers of an answer that the gateway does not set', () => {
  const headers = {
    'content-type': 'text/csv',
    'set-cookie': ['a=1', 'b=2'],
    connection: 'keep-alive',
    'x-frame-options': 'ALLOW',
    'x-request-id': 'r',
    etag: '"1"',
  };
  expect(responseHeadersFrom(headers, new Set(['x-frame-options']))).toEqual({
    'content-type': 'text/csv',
    'set-cookie': ['a=1', 'b=2'],
    etag: '"1"',
  });
});
