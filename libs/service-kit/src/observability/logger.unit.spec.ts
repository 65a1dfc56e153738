import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { createLogger } from './logger.js';
import { boundedLabel } from './metrics.js';

it('keeps secrets out of the log, wherever they stand', () => {
  let text = '';
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  const logger = createLogger({ name: 'test', level: 'info', destination });
  logger.info(
    {
      token: 'hush-1',
      headers: { authorization: 'Bearer hush-2', cookie: 'hush-3' },
      req: { headers: { authorization: 'hush-4' } },
      body: { password: 'hush-5', writeKey: 'hush-6' },
    },
    'shown',
  );
  expect(JSON.parse(text)).toMatchObject({ level: 'info', msg: 'shown', name: 'test', token: '[redacted]' });
  expect(text).not.toContain('hush');
});

it('gives only so many names a label of their own', () => {
  const label = boundedLabel(2);
  expect(['x'.repeat(65), 'a', 'b', 'c', 'a', 'd'].map(label)).toEqual(['other', 'a', 'b', 'other', 'a', 'other']);
});
