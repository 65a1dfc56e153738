import { connectEventBus, type EventBusConfig } from '../../src/index.js';
import { sequenceOf } from '../messages.js';
import type { DeadlyOrders } from './deadly.js';

// A consumer that says what it has done, until a message kills it.
const { config, topic, group, attemptsMax } = JSON.parse(process.argv[2] ?? '') as DeadlyOrders & { config: EventBusConfig };
const bus = await connectEventBus(config);
await bus.subscribe({
  group,
  topics: [topic],
  attemptsMax,
  concurrency: 1,
  handle: (messages) => {
    if (messages.some(({ key }) => key === 'deadly')) process.kill(process.pid, 'SIGKILL');
    for (const message of messages) process.stdout.write(`done ${sequenceOf(message)}\n`);
    return Promise.resolve();
  },
});
process.stdout.write('started\n');
