import { Module } from '@nestjs/common';
import { campaignCreated, campaignUpdated, defineEvent, makeEvent } from '@pca/contracts';
import { enqueue, inboxTableSql, outboxTableSql } from '@pca/outbox';
import {
  baseEnvShape,
  busConfigOf,
  type ConsumedEvent,
  type ConsumerDefinition,
  createDataSource,
  createLogger,
  Database,
  databaseEnvShape,
  followingFrom,
  on,
  parseEnv,
  run,
  ServiceBus,
} from '@pca/service-kit';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import { z } from 'zod';

// A service as services are, which keeps a projection of campaigns and tells others of each new one: what startProjection starts, and what
// the supervisor may be given. A campaign named "poison" cannot be handled until the table `cure` holds the name.

const env = parseEnv(
  {
    ...baseEnvShape,
    ...databaseEnvShape,
    FIXTURE_GROUP: z.string().default('projection'),
    FIXTURE_HANDLER_MS: z.coerce.number().default(0),
  },
  process.env,
);

const campaignNoted = defineEvent({
  type: 'fixture.campaign-noted.v1',
  topic: 'fixture.events.v1',
  producer: 'projection',
  description: 'A fixture has seen a new campaign.',
  schema: z.object({ campaignId: z.uuid() }),
  key: ({ campaignId }) => campaignId,
});

class Projection1 implements MigrationInterface {
  name = 'Projection1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [inboxTableSql, outboxTableSql]) await runner.query(sql);
    await runner.query(`create table seen_campaign (id uuid primary key, workspace_id text not null, changes int not null, path text not null);
      create table cure (name text primary key)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table seen_campaign, cure, inbox, consumer_group, outbox, outbox_dead');
  }
}

const logger = createLogger({ name: 'projection', level: env.LOG_LEVEL });
const database = new Database(
  createDataSource({
    name: 'projection',
    url: env.DATABASE_URL,
    entities: [],
    migrations: [Projection1],
    poolMax: env.DATABASE_POOL_MAX,
    statementMsMax: env.DATABASE_STATEMENT_MS_MAX,
  }),
);

type Seen = ConsumedEvent<{ campaign: { id: string; name: string; version: number } }>;

const see = async (transaction: EntityManager, events: readonly Seen[]): Promise<void> => {
  for (const { envelope } of events) {
    const { id, name, version } = envelope.payload.campaign;
    if (name === 'poison') {
      const cured = await transaction.query<unknown[]>('select from cure where name = $1', [name]);
      if (cured.length === 0) throw new Error('nobody can handle poison');
    }
    await transaction.query(
      `insert into seen_campaign values ($1, $2, 1, $3) on conflict (id) do update
       set changes = seen_campaign.changes + 1, path = seen_campaign.path || ' ' || excluded.path`,
      [id, envelope.workspaceId, String(version)],
    );
  }
  await sleep(env.FIXTURE_HANDLER_MS);
};

const consumer: ConsumerDefinition = {
  group: env.FIXTURE_GROUP,
  batchSize: 20,
  retryMs: 10,
  on: [
    on(campaignCreated, async (events, { transaction }) => {
      await see(transaction, events);
      const noted = events.map((event) =>
        makeEvent(campaignNoted, { campaignId: event.envelope.payload.campaign.id }, followingFrom(event)),
      );
      await enqueue(transaction, noted);
    }),
    on(campaignUpdated, (events, { transaction }) => see(transaction, events)),
  ],
  reset: async (transaction) => {
    await transaction.query('truncate seen_campaign');
  },
};

class ProjectionModule {}
Module({})(ProjectionModule);

run({
  name: 'projection',
  env,
  logger,
  database,
  bus: new ServiceBus(busConfigOf(env, 'projection'), logger),
  module: ProjectionModule,
  consumers: () => [consumer],
});
