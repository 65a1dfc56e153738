import { expect, it } from 'vitest';
import { deadLetterBytesMax, encodeMessage } from '../encode-message.js';
import { deadLetterOf } from './dead-letters.js';

const place = { topic: 'x.v1', partition: 0, offset: 7, consumerGroup: 'g', reason: 'r'.repeat(5_000), attempts: 1 };

// Broken by: counting characters, of which one may become six bytes of JSON; a letter that no bus takes would be tried for ever.
it('makes a letter that fits whatever is in it', () => {
  for (const [value, isCut] of [
    ['\u0000'.repeat(750_000), true],
    ['"'.repeat(1_000_000), false],
    ['ж'.repeat(1_500_000), false],
    ['x'.repeat(5_000_000), true],
  ] as const) {
    const letter = deadLetterOf({ ...place, what: { key: 'k'.repeat(2_000), value, reason: 'no message' } });
    expect(encodeMessage(letter).bytes).toBeLessThanOrEqual(deadLetterBytesMax);
    expect(letter).toMatchObject({ key: '(none)', envelope: { payload: { truncated: isCut, isMessage: false } } });
  }
});
