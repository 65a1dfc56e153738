import { expect, it } from 'vitest';
import { checkEventSize, ingestLimits } from './event-limits.js';

const refusal = (event: object): unknown => {
  try {
    checkEventSize(event as Record<string, unknown>);
  } catch (error) {
    return error;
  }
  return 'taken';
};
const nested = (levels: number, array = false): unknown => {
  let value: unknown = array ? [] : {};
  for (let level = 1; level < levels; level += 1) value = array ? [value] : { a: value };
  return value;
};
const keys = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));

// Broken by: a walk that recurses as deep as its input, or counts levels from elsewhere.
it('takes eight levels of properties and not one more, however deep they are', () => {
  for (const array of [false, true]) {
    expect(refusal({ properties: nested(8, array) })).toBe('taken');
    for (const levels of [9, 100_000]) expect(refusal({ properties: nested(levels, array) })).toMatchObject({ code: 'BAD_USER_INPUT' });
  }
});

// Broken by: an event of many keys, at whichever level, or one that would set a prototype.
it('takes 200 keys an object, and none called __proto__', () => {
  expect(refusal({ properties: keys(200) })).toBe('taken');
  for (const event of [{ properties: keys(201) }, { context: { page: keys(201) } }, keys(201), { properties: { list: [keys(201)] } }]) {
    expect(refusal(event)).toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('200 keys') as string });
  }
  expect(refusal(JSON.parse('{"properties":{"__proto__":{"polluted":true}}}') as object)).toMatchObject({ code: 'BAD_USER_INPUT' });
});

// Broken by: counting characters for bytes, forgetting what escapes add, or letting many small values pass.
it('takes 32 kB of UTF-8 JSON, to the byte', () => {
  const around = Buffer.byteLength(JSON.stringify({ properties: { text: '' } }));
  const room = ingestLimits.eventBytes - around;
  for (const [text, bytes] of [
    ['x', 1],
    ['é', 2],
    ['€', 3],
    ['\u0001', 6],
    ['"', 2],
  ] as const) {
    const fits = Math.floor(room / bytes);
    expect(refusal({ properties: { text: text.repeat(fits) } }), text).toBe('taken');
    expect(refusal({ properties: { text: text.repeat(fits + 1) } }), text).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  }
  expect(refusal({ properties: { list: Array.from({ length: 40_000 }, () => 1) } })).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  expect(refusal({ properties: { ['k'.repeat(40_000)]: 1 } })).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  expect(refusal({ properties: { list: Array.from({ length: 1_700 }, (_, n) => Math.PI * 10 ** (n % 50) * 1e150) } })).toMatchObject({
    code: 'PAYLOAD_TOO_LARGE',
  });
});
