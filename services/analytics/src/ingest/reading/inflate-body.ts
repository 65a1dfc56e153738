import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate, zstdDecompress } from 'node:zlib';
import { DomainError, isDomainError } from '@pca/errors';
import pLimit from 'p-limit';
import { ingestLimits } from './event-limits.js';

/** They end as soon as more than that has come out, so that a bomb costs no more than a batch. */
const limits = { maxOutputLength: ingestLimits.batchBytes, chunkSize: 64 * 1024 };
/** Nothing may follow the end, for that would be left out without a word: of zstd's frames the first alone is read. Those of gzip all are. */
const wholeLimits = { ...limits, rejectGarbageAfterEnd: true };
/** RFC 9659: what comes over HTTP needs no window above 8 MB. A frame may ask for one of 2 GB. */
const zstdLimits = { ...wholeLimits, params: { [constants.ZSTD_d_windowLogMax]: 23 } };
/** As many as the thread pool does at once: each keeps its window, however many more wait. */
const turns = pLimit(4);

const fromGzip = promisify(gunzip);
const fromDeflate = promisify(inflate);
const fromBrotli = promisify(brotliDecompress);
const fromZstd = promisify(zstdDecompress);

/** By the names of RFC 9110 and of the registry beside it; they work in the thread pool. */
const decoders = new Map<string, (body: Buffer) => Promise<Buffer>>([
  ['gzip', (body) => fromGzip(body, limits)],
  ['x-gzip', (body) => fromGzip(body, limits)],
  ['deflate', (body) => fromDeflate(body, wholeLimits)],
  ['br', (body) => fromBrotli(withSmallWindow(body), wholeLimits)],
  ['zstd', (body) => fromZstd(body, zstdLimits)],
  ['identity', (body) => Promise.resolve(body)],
]);

/**
 * The text of a body that came with a Content-Encoding. Throws UNSUPPORTED_MEDIA_TYPE for an encoding that is not known, several of them
 * included, PAYLOAD_TOO_LARGE for what inflates to more than a batch may have, and BAD_USER_INPUT for what is not encoded like that.
 */
export const inflateBody = async (body: Buffer, encoding: string): Promise<string> => {
  const decode = decoders.get(encoding.trim().toLowerCase());
  if (!decode) throw new DomainError('UNSUPPORTED_MEDIA_TYPE', 'Content-Encoding is one of gzip, deflate, br and zstd, and one alone');
  try {
    return (await turns(decode, body)).toString();
  } catch (error) {
    if (isDomainError(error)) throw error;
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new DomainError('PAYLOAD_TOO_LARGE', `The body has at most ${ingestLimits.batchBytes} bytes when it is decompressed`);
    }
    throw new DomainError('BAD_USER_INPUT', 'The body is damaged, or not compressed as its Content-Encoding says', {}, { cause: error });
  }
};

/**
 * Brotli's decoder fills its window before anything comes out of it, so that a bomb costs as much as its window. RFC 7932, 9.1: in the first
 * byte 1101 stands for one of 8 MB and 1111 for 16. Encoders take 4 MB at most unless they are told to take more.
 */
const withSmallWindow = (body: Buffer): Buffer => {
  if (((body[0] ?? 0) & 0b1101) === 0b1101) throw new DomainError('BAD_USER_INPUT', 'The window of a body in br has at most 4 MB');
  return body;
};
