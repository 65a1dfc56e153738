import { testPostgres } from '@pca/testing';
import { expect, it } from 'vitest';
import { PostgresEventBus, readTopic } from '../src/index.js';
import { messageOf, sequenceOf } from './messages.js';

// Broken by: waiting for an end that the retention has taken in the meantime.
it('ends when what it was still to read is dropped under it', async () => {
  const postgres = await testPostgres();
  const { url } = await postgres.createDatabase();
  const bus = await PostgresEventBus.connect({
    url,
    topics: { 'read.v1': { partitions: 1 } },
    limits: { segmentSeconds: 0, keepSeconds: 0, batchBytesMax: 1_000 },
  });
  for (let sequence = 0; sequence < 20; sequence += 1) await bus.publish([messageOf('read.v1', 'key', sequence)]);
  const got: number[] = [];
  await readTopic(bus, 'read.v1', async (messages) => {
    if (got.length === 0) while ((await bus.offsets('read.v1'))[0]?.start !== 20) await bus.maintain();
    got.push(...messages.map(sequenceOf));
  });
  expect(got[0]).toBe(0);
  expect(got.length).toBeLessThan(20);
  await bus.close();
  await postgres.stop();
});
