import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { isDomainError } from '@pca/errors';
import { seededRandom } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { ingestLimits } from './event-limits.js';
import { inflateBody } from './inflate-body.js';

const compress: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  gzip: (body) => gzipSync(body),
  deflate: (body) => deflateSync(body),
  br: (body) => brotliCompressSync(body),
  zstd: (body) => zstdCompressSync(body, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
};
const brotliOf = (body: Buffer, windowLog: number): Buffer =>
  brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: windowLog } });
const encodings = Object.keys(compress);
const compressed = (encoding: string, body: Buffer): Buffer => compress[encoding]?.(body) ?? body;
/** The text, or the code of the refusal. */
const outcome = (body: Buffer, encoding: string): Promise<string> =>
  inflateBody(body, encoding).catch((error: unknown) => {
    if (isDomainError(error)) return error.code;
    throw error;
  });
const random = seededRandom('damaged bodies');
const text = JSON.stringify({ batch: Array.from({ length: 50 }, (_, n) => ({ event: `e${n}`, userId: String(random.next()) })) });

describe.each(encodings)('%s', (encoding) => {
  // Broken by: an encoding that is taken for another one, or a limit that counts what came in, or a byte too few or too many.
  it('is taken up to the limit of a batch, and no further', async () => {
    expect(await outcome(compressed(encoding, Buffer.from(text)), encoding)).toBe(text);
    const most = Buffer.alloc(ingestLimits.batchBytes, 'a');
    expect(await outcome(compressed(encoding, most), encoding)).toBe(most.toString());
    expect(await outcome(compressed(encoding, Buffer.concat([most, most.subarray(0, 1)])), encoding)).toBe('PAYLOAD_TOO_LARGE');
  });

  // Broken by: the beginning of a body that is taken for all of it, a checksum that nobody compares, or an error of another kind.
  it('is refused when it is damaged', async () => {
    const whole = compressed(encoding, Buffer.from(text));
    for (const kept of [0, 1, whole.length - 1, ...Array.from({ length: 20 }, () => random.int(whole.length))]) {
      expect(await outcome(whole.subarray(0, kept), encoding), `${kept} bytes`).toBe('BAD_USER_INPUT');
    }
    expect(await outcome(Buffer.from(text), encoding)).toBe('BAD_USER_INPUT');
    expect(await outcome(Buffer.concat([whole, Buffer.from('more')]), encoding)).toBe('BAD_USER_INPUT');
    // Gzip is one text in members, the others are over at their end.
    expect(await outcome(Buffer.concat([whole, whole]), encoding)).toBe(encoding === 'gzip' ? text + text : 'BAD_USER_INPUT');
    for (let n = 0; n < 50; n += 1) {
      const at = random.int(whole.length);
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ (1 << random.int(8));
      // Brotli has no checksum; a header may hold what is of no matter.
      const allowed = encoding === 'br' ? expect.any(String) : expect.toBeOneOf([text, 'BAD_USER_INPUT', 'PAYLOAD_TOO_LARGE']);
      expect(await outcome(damaged, encoding), `byte ${at}`).toEqual(allowed);
    }
  });
});

// Broken by: a bomb that is inflated before its size is looked at: each of these would be hundreds of megabytes.
it('ends bombs at the limit, many at once', async () => {
  const megabyte = Buffer.alloc(1024 * 1024);
  const times = (count: number, part: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => part));
  const flushed = deflateRawSync(megabyte, { finishFlush: constants.Z_FULL_FLUSH });
  const bombs: [string, Buffer][] = [
    ['gzip', times(400, gzipSync(megabyte))],
    ['deflate', Buffer.concat([Buffer.from([0x78, 0x9c]), times(400, flushed)])],
    ['br', brotliOf(times(64, megabyte), 22)],
    ['zstd', zstdCompressSync(times(128, megabyte))],
  ];
  const before = process.resourceUsage().maxRSS;
  for (const [encoding, bomb] of bombs) {
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => outcome(bomb, encoding)));
    expect(new Set(outcomes), encoding).toEqual(new Set(['PAYLOAD_TOO_LARGE']));
  }
  // Kilobytes, and less than any one of them would have taken.
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(100 * 1024);
});

// Broken by: a body that makes this process keep the memory that it names, or one of an ordinary encoder that is refused with it.
it('keeps no window that a batch has no need of', async () => {
  // Magic number, no flags, the window as an exponent over 2^10, and one last block of no bytes.
  const frame = (windowLog: number): Buffer => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3, 0x01, 0x00, 0x00]);
  for (const [windowLog, said] of [
    [10, ''],
    [23, ''],
    [24, 'BAD_USER_INPUT'],
    [31, 'BAD_USER_INPUT'],
  ] as const) {
    expect(await outcome(frame(windowLog), 'zstd'), `zstd ${windowLog}`).toBe(said);
  }
  for (let windowLog = 10; windowLog <= 24; windowLog += 1) {
    const large = Buffer.from(text.repeat(100));
    const said = windowLog <= 22 ? large.toString() : 'BAD_USER_INPUT';
    expect(await outcome(brotliOf(large, windowLog), 'br'), `br ${windowLog}`).toBe(said);
  }
});

// Broken by: a name that differs in its case, or one of several encodings that is taken for all of them.
it('knows one encoding at a time by its names', async () => {
  const gzipped = gzipSync(text);
  for (const name of ['GZip', ' gzip ', 'x-gzip']) expect(await outcome(gzipped, name)).toBe(text);
  expect(await outcome(Buffer.from(text), 'identity')).toBe(text);
  for (const name of ['gzip, gzip', 'gzip,identity', 'compress', 'toString', '*', 'gzip;q=1']) {
    expect(await outcome(gzipSync(gzipped), name), name).toBe('UNSUPPORTED_MEDIA_TYPE');
  }
});
