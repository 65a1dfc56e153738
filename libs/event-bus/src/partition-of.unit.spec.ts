import { expect, it } from 'vitest';
import { randomFrom } from '../test/random.js';
import { murmur2, partitionOf } from './partition-of.js';

it("hashes as Kafka's own tests say", () => {
  const known: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  for (const [text, hash] of Object.entries(known)) expect(murmur2(Buffer.from(text)), text).toBe(hash);
});

it('hashes as the definition does, written out in unbounded integers', () => {
  const random = randomFrom('murmur2');
  for (let round = 0; round < 3000; round += 1) {
    const outer = Buffer.from(Array.from({ length: random.below(70) }, () => random.below(256)));
    const bytes = outer.subarray(random.below(outer.length + 1));
    expect(murmur2(bytes), `seed ${random.seed}, ${bytes.toString('hex')}`).toBe(murmur2ByDefinition(bytes));
  }
});

it('gives every key a partition in range, the same each time, and uses all of them', () => {
  const random = randomFrom('partitions');
  for (const partitions of [1, 2, 7, 8, 1024]) {
    const seen = new Set<number>();
    for (let i = 0; i < partitions * 20; i += 1) {
      const key = `${random.below(1e9)} ключ ${i}`;
      const partition = partitionOf(key, partitions);
      expect(partition).toBe(partitionOf(key, partitions));
      seen.add(partition);
    }
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...seen)).toBeLessThan(partitions);
    expect(seen.size, `seed ${random.seed}`).toBeGreaterThan(partitions * 0.95);
  }
});

const murmur2ByDefinition = (bytes: Uint8Array): number => {
  const m = 0x5bd1e995n;
  const u32 = (value: bigint) => BigInt.asUintN(32, value);
  let h = u32(0x9747b28cn ^ BigInt(bytes.length));
  let rest = [...bytes].map(BigInt);
  while (rest.length >= 4) {
    let k = rest[0]! | (rest[1]! << 8n) | (rest[2]! << 16n) | (rest[3]! << 24n);
    k = u32(k * m);
    k = u32((k ^ (k >> 24n)) * m);
    h = u32(h * m) ^ k;
    rest = rest.slice(4);
  }
  if (rest.length > 0) {
    rest.forEach((byte, i) => (h ^= byte << BigInt(8 * i)));
    h = u32(h * m);
  }
  h = u32((h ^ (h >> 13n)) * m);
  return Number(BigInt.asIntN(32, h ^ (h >> 15n)));
};
