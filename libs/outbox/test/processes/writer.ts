import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { randomFrom } from '../../../event-bus/test/random.js';
import { accounts, writeChange } from '../ledger.js';

// A service under load: says `ack` and the ids of a transaction once it has committed. SIGTERM lets it finish what it is doing.
const [url, seed] = process.argv.slice(2);
const random = randomFrom('writer', Number(seed));
const pool = new pg.Pool({ connectionString: url, max: 8, connectionTimeoutMillis: 2_000 });
pool.on('error', () => undefined);
// A connection may break before whoever asked for it listens.
pool.on('connect', (client) => client.on('error', () => undefined));
let stopping = false;
process.once('SIGTERM', () => (stopping = true));
process.stdout.write('started\n');

const write = async () => {
  while (!stopping) {
    const ids = [...new Set(Array.from({ length: 1 + random.below(3) }, () => random.pick(accounts)))];
    try {
      const written = await writeChange(pool, ids, random.chance(0.2) ? random.below(20) : 0, random.chance(0.1) ? 'rollback' : 'commit');
      if (written.length > 0) process.stdout.write(`ack ${written.join(' ')}\n`);
    } catch {
      await sleep(20);
    }
  }
};
await Promise.all(Array.from({ length: 8 }, write));
await pool.end();
