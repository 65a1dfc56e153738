import { spawnSync } from 'node:child_process';
import { requiresKafka, testKafka } from '@pca/testing';
import { describe, expect, it } from 'vitest';

const bus = new URL('../dist/index.js', import.meta.url).href;

describe.skipIf(!(await requiresKafka()))('a Kafka bus with nothing to do', () => {
  // Broken by: kafkajs as it is, which sets a timer each millisecond for each connection, and lets Node warn of a time in the past.
  it('sets hardly any timers and warns of nothing', async () => {
    const { brokers } = await testKafka();
    const program = `
      import { connectEventBus } from ${JSON.stringify(bus)};
      const bus = await connectEventBus({ bus: 'kafka', brokers: ${JSON.stringify(brokers)} });
      await bus.offsets('nothing');
      const set = globalThis.setTimeout;
      let timers = 0;
      globalThis.setTimeout = (...args) => (timers += 1, set(...args));
      await new Promise((resolve) => set(resolve, 1000));
      process.stdout.write(String(timers));
      await bus.close();`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeLessThan(100);
  });
});
