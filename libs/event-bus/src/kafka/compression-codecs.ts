import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync, gzip, gzipSync, zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';

/** Below it the way to another thread and back costs more than the work itself. */
const syncBytesMax = 64 * 1024;
const fast = { level: constants.Z_BEST_SPEED };

/**
 * Replaces codecs of kafkajs, for the whole process, since it has one table of them: gzip with half the work for nearly the same size, and
 * zstd, which it lacks, for what other programs wrote.
 */
export const registerCodecs = (): void => {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  CompressionCodecs[CompressionTypes.GZIP] = () => ({
    compress: ({ buffer }: { readonly buffer: Buffer }) =>
      buffer.length <= syncBytesMax ? Promise.resolve(gzipSync(buffer, fast)) : promisify(gzip)(buffer, fast),
    decompress: (buffer: Buffer) => (buffer.length <= syncBytesMax ? Promise.resolve(gunzipSync(buffer)) : promisify(gunzip)(buffer)),
  });
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { readonly buffer: Buffer }) => promisify(zstdCompress)(buffer),
    decompress: (buffer: Buffer) => promisify(zstdDecompress)(buffer),
  });
};
