import type { IncomingMessage } from 'node:http';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import { DomainError } from '@pca/errors';

/**
 * A request's body as a stream that ends with PAYLOAD_TOO_LARGE after `bytesMax`, and with REQUEST_TIMEOUT when the client sends nothing for
 * `silenceMsMax`. It stands between the client's connection and the service's, so that breaking one leaves the other able to answer.
 */
export const countedBody = (source: IncomingMessage, bytesMax: number, silenceMsMax: number): Readable => {
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      bytes += chunk.length;
      timer.refresh();
      if (bytes > bytesMax) done(tooLarge(bytesMax));
      else done(null, chunk);
    },
  });
  const timer = setTimeout(() => {
    // Silence that the service imposes is not the client's; the service has a time of its own.
    if (counted.writableNeedDrain) timer.refresh();
    else counted.destroy(new DomainError('REQUEST_TIMEOUT', 'The body did not arrive in time'));
  }, silenceMsMax);
  source.once('close', () => {
    if (!source.complete) counted.destroy(new DomainError('BAD_REQUEST', 'The body ended before its end'));
  });
  counted.once('close', () => {
    clearTimeout(timer);
    source.unpipe(counted);
  });
  // Whoever reads it hears of its error; while nobody does, it must not end the process.
  counted.on('error', () => undefined);
  return source.pipe(counted);
};

export const tooLarge = (bytesMax: number): DomainError =>
  new DomainError('PAYLOAD_TOO_LARGE', `The body is larger than ${bytesMax} bytes`, { bytesMax });
