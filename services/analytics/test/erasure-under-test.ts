import type { EventEnvelope, userErased } from '@pca/contracts';
import { decodeMessage } from '@pca/event-bus';
import type { Database, ServiceBus } from '@pca/service-kit';
import { type RunningService, startTestService, testIssuer, testPostgres } from '@pca/testing';
import type { z } from 'zod';
import { readEnv } from '../src/env.js';
import { ErasureJob } from '../src/erasure/erasure.job.js';
import { TextSweep } from '../src/erasure/text.sweep.js';
import { Deletions } from '../src/retention/deletions.js';
import { RetentionSweep } from '../src/retention/retention.sweep.js';
import type { Connection, GoOn } from '../src/retention/connection.js';
import { analyticsService } from '../src/service.js';

export type UserErased = z.infer<typeof userErased.schema>;

export interface ErasureUnderTest {
  readonly service: RunningService;
  readonly database: Database;
  readonly url: string;
  readonly bus: ServiceBus;
  token(role?: 'viewer' | 'editor' | 'owner', workspace?: string): Promise<string>;
  /** What stands in the outbox, which is empty after that, as if the bus had taken it. */
  takeEvents(): Promise<EventEnvelope<UserErased>[]>;
  /** What the background does about erasures in a turn. */
  erase(): Promise<void>;
  finish(): Promise<void>;
  /** What it does about retentions. */
  sweep(goOn?: GoOn): Promise<void>;
  /** What it does about texts after that. */
  sweepTexts(): Promise<void>;
  /** Where a text stands: every column of every table that can hold one, as table.column. */
  placesOf(text: string): Promise<string[]>;
  /** The background work of a process, on its connections. */
  deletions(of?: Database): Deletions;
  stop(): Promise<void>;
}

/** The analytics service in this process, without consumers and background work, on a database and a bus of its own. */
export const startErasure = async (): Promise<ErasureUnderTest> => {
  const postgres = await testPostgres();
  const [{ url }, { url: busUrl }] = [await postgres.createDatabase(), await postgres.createDatabase()];
  const issuer = await testIssuer();
  const definition = analyticsService(
    readEnv({ NODE_ENV: 'test', PORT: '1', LOG_LEVEL: 'silent', DATABASE_URL: url, BUS_URL: busUrl, BUS_PARTITIONS: '2', ...issuer.env }),
  );
  const bus = definition.bus as ServiceBus;
  const service = await startTestService(definition);
  const database = definition.database as Database;
  const texts = new TextSweep();
  const job = new ErasureJob(bus, texts);
  const connected = async (work: (connection: Connection) => Promise<void>): Promise<void> => {
    const connection = await database.pool.connect();
    await work(connection).finally(() => connection.release());
  };
  return {
    service,
    database,
    url,
    bus,
    token: (role = 'owner', workspace = 'demo') => issuer.issue({ role, workspace }),
    takeEvents: async () => {
      const { rows } = await database.pool.query<{ topic: string; message: string }>(
        'with taken as (delete from outbox returning *) select topic, message from taken order by id',
      );
      return rows.map(({ topic, message }) => decodeMessage(topic, message).envelope as EventEnvelope<UserErased>);
    },
    erase: () => connected((connection) => job.work(connection, () => true)),
    finish: () => connected((connection) => job.finish(connection)),
    sweepTexts: () => connected((connection) => texts.work(connection, () => true, 'all')),
    sweep: (goOn = () => Promise.resolve(true)) => connected((connection) => new RetentionSweep().work(connection, goOn)),
    placesOf: (text) => placesOf(database, text),
    deletions: (of = database) => new Deletions(of, new ErasureJob(bus, texts), new RetentionSweep(), texts, definition.logger),
    stop: async () => {
      await service.stop();
      await bus.close();
      await postgres.stop();
      await issuer.remove();
    },
  };
};

const placesOf = async ({ pool }: Database, text: string): Promise<string[]> => {
  const { rows: columns } = await pool.query<{ table: string; column: string; type: string }>(
    `select c.table_name as table, c.column_name as column, c.data_type as type from information_schema.columns c
     join information_schema.tables t using (table_schema, table_name)
     where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.data_type not in
       ('integer', 'bigint', 'smallint', 'boolean', 'timestamp with time zone', 'date', 'uuid')`,
  );
  const places: string[] = [];
  for (const { table, column, type } of columns) {
    const found = type === 'bytea' ? `position(convert_to($1, 'UTF8') in "${column}") > 0` : `position($1 in "${column}"::text) > 0`;
    if ((await pool.query(`select from "${table}" where ${found} limit 1`, [text])).rows.length > 0) places.push(`${table}.${column}`);
  }
  return places;
};
