/**
 * MurmurHash2 with the seed of Kafka's default partitioner, as a signed 32-bit integer, so that both adapters put a key into the same
 * partition. Source: Austin Appleby's MurmurHash2 (public domain) as used by org.apache.kafka.common.utils.Utils.murmur2.
 */
export const murmur2 = (bytes: Uint8Array): number => {
  const multiplier = 0x5bd1e995;
  const tail = bytes.length & ~3;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hash = 0x9747b28c ^ bytes.length;
  for (let at = 0; at < tail; at += 4) {
    let word = Math.imul(view.getInt32(at, true), multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  if (tail < bytes.length) {
    for (let at = tail; at < bytes.length; at += 1) hash ^= view.getUint8(at) << (8 * (at - tail));
    hash = Math.imul(hash, multiplier);
  }
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
};

/** The partition of a key, 0 to `partitions` - 1: stable for ever, since a key that moved would lose its order. */
export const partitionOf = (key: string, partitions: number): number => (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
