import { expect, it } from 'vitest';
import { messageOf } from '../../test/messages.js';
import { randomFrom } from '../../test/random.js';
import { encodeMessage } from '../encode-message.js';
import { requestsOf } from './kafka-sender.js';

const requestBytesMax = 900 * 1024;

// Broken by: a piece that is larger than it may be, an order that is lost, a request that could have been spared.
it('cuts an append into as few requests as keep its order, each within its bytes and messages', () => {
  const random = randomFrom('requests');
  for (let round = 0; round < 25; round += 1) {
    const sizes = Array.from({ length: random.below(400) }, () => random.below(random.chance(0.05) ? 1_000_000 : 20_000));
    const messages = sizes.map((size, i) => {
      const message = messageOf('any', 'key', i);
      return encodeMessage({ ...message, envelope: { ...message.envelope, payload: 'x'.repeat(size) } });
    });
    const requests = requestsOf(messages);
    const seed = `seed ${random.seed}, round ${round}`;
    const sent = requests.flat();
    expect(sent.length === messages.length && sent.every((message, i) => message === messages[i]), seed).toBe(true);
    const bytesOf = (request: typeof messages) => request.reduce((sum, { bytes }) => sum + bytes + 150, 0);
    for (const [i, request] of requests.entries()) {
      if (request.length > 1) expect(bytesOf(request), seed).toBeLessThanOrEqual(requestBytesMax);
      const [next] = requests[i + 1] ?? [];
      if (next) expect(bytesOf([...request, next]), seed).toBeGreaterThan(requestBytesMax);
    }
  }
  const small = Array.from({ length: 4_500 }, (_, i) =>
    encodeMessage({ ...messageOf('any', 'key', i), envelope: { id: '1', type: 't' } as never }),
  );
  expect(requestsOf(small).map(({ length }) => length)).toEqual([2_000, 2_000, 500]);
});
