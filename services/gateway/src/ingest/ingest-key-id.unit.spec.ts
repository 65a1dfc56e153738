import { expect, it } from 'vitest';
import { keyIdOf } from './ingest-key-id.js';

const key = `pca_wk_${'a'.repeat(32)}`;
const idOf = (body: string): string => keyIdOf(undefined, Buffer.from(body));
const without = keyIdOf(undefined, undefined);

// Broken by: a key that is looked for at one place alone, in one spelling alone, or together with what stands beside it.
it('finds the key of a body wherever it stands', () => {
  const ids = [
    `{"writeKey":"${key}","batch":[]}`,
    `{"batch":[{"event":"ü"}],"writeKey":"${key}"}`,
    `{\n  "writeKey" :\t"${key}"\n}`,
    `{"writeKey":"${key}"}`.padStart(500_000),
  ].map(idOf);
  expect(new Set(ids).size).toBe(1);
  expect(ids[0]).not.toBe(without);
});

// Broken by: two keys that are taken for one, a header that hides the body's key, a key that can be read back.
it('tells keys apart, in the header and in the body', () => {
  const body = Buffer.from(`{"writeKey":"${key}"}`);
  const ids = [
    without,
    idOf(`{"writeKey":"${key}"}`),
    idOf(`{"writeKey":"${key}b"}`),
    keyIdOf(`Basic ${key}`, undefined),
    keyIdOf('Bearer other', undefined),
    keyIdOf('Bearer other', body),
  ];
  expect(new Set(ids).size).toBe(6);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/);
});

// Broken by: whoever makes up a header that holds no key for each request, and so is somebody else each time.
it.each(['', 'Bearer', 'Bearer ', key, `Digest ${key}`, `Bearer ${key} more`, `Bearer ${'a'.repeat(513)}`, 'Basic ü'])(
  'takes the header "%.40s" as without a key',
  (authorization) => {
    expect(keyIdOf(authorization, undefined)).toBe(without);
  },
);

// Broken by: a search without bounds in what a client chooses.
it.each(['{}', '{"writeKey"', `{"writeKey":${' '.repeat(500_000)}"${key}"}`, `{"writeKey":"${'a'.repeat(500_000)}"}`, '{"writeKey":7}'])(
  'takes %.40s as without a key',
  (body) => {
    expect(idOf(body)).toBe(without);
  },
);
