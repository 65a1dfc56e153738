import { type BehaviourEvent, createLogger, registry } from '@pca/service-kit';
import { expect, it } from 'vitest';
import { UsageRecorder } from './usage-recorder.js';

const logger = createLogger({ name: 'test', level: 'silent' });
const operation = (name: string) => ({
  type: 'query',
  name,
  principal: { subject: 'ann', workspaceId: 'demo', scopes: new Set<never>() },
  status: 200,
  code: undefined,
  seconds: 0.2,
});
const counted = async (outcome: string): Promise<number> =>
  Number(
    (await registry.getSingleMetric('pca_gateway_usage_events_total')?.get())?.values.find(({ labels }) => labels['outcome'] === outcome)
      ?.value ?? 0,
  );

// Broken by: a queue without an end, what waits lost or told twice after the bus was away, drops that nobody counts.
it('keeps a bounded number while the bus is away, and publishes each once when it is back', async () => {
  let isAway = true;
  const published: BehaviourEvent[] = [];
  const recorder = new UsageRecorder({
    publish: (events) => {
      if (isAway) return Promise.reject(new Error('away'));
      published.push(...events);
      return Promise.resolve();
    },
    logger,
    salt: undefined,
    waitingMax: 1_200,
  });
  const before = await counted('dropped');
  for (let n = 0; n < 1_500; n += 1) recorder.record(operation(`o${n}`));
  expect((await counted('dropped')) - before).toBe(300);
  await recorder.stop();
  expect(published).toEqual([]);
  isAway = false;
  await recorder.stop();
  expect(published.map(({ resource }) => resource)).toEqual(Array.from({ length: 1_200 }, (_unused, n) => `o${n}`));
  await recorder.stop();
  expect(published).toHaveLength(1_200);
  expect(published[0]?.properties).toEqual({ status: 200, duration: 'below 500 ms' });
});

// Broken by: an end that waits for a bus that never answers.
it('ends although the bus does not answer', async () => {
  const recorder = new UsageRecorder({ publish: () => new Promise(() => undefined), logger, salt: undefined });
  recorder.record(operation('o'));
  await expect(recorder.stop()).resolves.toBeUndefined();
});
