import { expect, it } from 'vitest';
import { decodeBegun, encodeBegun } from './group-positions.js';

// Broken by: trust in what another program, or an operator, wrote beside an offset.
it('reads back what was begun, and nothing where that is not what stands there', () => {
  expect(decodeBegun(encodeBegun({ attempt: 3, until: 4_000_000_000_000 }))).toEqual({ attempt: 3, until: 4_000_000_000_000 });
  expect(encodeBegun(undefined)).toBe('');
  for (const other of [
    '',
    null,
    undefined,
    'checkpoint 7',
    '{',
    '7',
    'null',
    '[]',
    '{"attempt":1}',
    '{"attempt":"1","until":"2"}',
    '{"attempt":0.5,"until":1}',
  ])
    expect(decodeBegun(other), String(other)).toBeUndefined();
});
