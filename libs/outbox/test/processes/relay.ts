import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresEventBus } from '@pca/event-bus';
import pg from 'pg';
import { OutboxRelay } from '../../src/index.js';

// An instance of a service that only relays. SIGTERM drains it.
const [url, busUrl] = process.argv.slice(2) as [string, string];
const pool = new pg.Pool({ connectionString: url, max: 3, connectionTimeoutMillis: 2_000, application_name: 'test-relay' });
pool.on('error', () => undefined);

const openBus = async (): Promise<PostgresEventBus> => {
  for (;;) {
    try {
      return await PostgresEventBus.connect({ url: busUrl, limits: { queryMsMax: 2_000 } });
    } catch {
      await sleep(50);
    }
  }
};
const publisher = await openBus();
const relay = new OutboxRelay({ pool, publisher, pollMs: 10, batchSize: 50, onError: () => process.stdout.write('failed\n') });
relay.start();
process.once('SIGTERM', () => {
  void (async () => {
    await relay.stop();
    await publisher.close();
    await pool.end();
  })();
});
process.stdout.write('started\n');
