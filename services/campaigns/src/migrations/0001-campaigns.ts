import { outboxTableSql } from '@pca/outbox';
import { idempotencyTableSql } from '@pca/service-kit';
import type { MigrationInterface, QueryRunner } from 'typeorm';

const workspaceSql = `
  create table workspace (
    id text primary key,
    name text not null,
    time_zone text not null default 'UTC',
    first_day_of_week smallint not null default 1 check (first_day_of_week between 1 and 7),
    reporting_currency text not null default 'USD',
    ip_policy text not null default 'DROP',
    updated_at timestamptz not null default now()
  );
`;

/** Sums over the campaign's life stand on its row, kept by the statement that writes its days, so that a list never aggregates days. */
const campaignSql = `
  create extension if not exists pg_trgm;
  create table campaign (
    id uuid primary key,
    workspace_id text not null references workspace (id),
    external_id text,
    account text not null default '',
    name text not null,
    platform text not null,
    status text not null,
    objective text,
    vertical text,
    -- Columns, not expressions, because the planner keeps statistics of columns.
    platform_key text not null generated always as (lower(platform)) stored,
    objective_key text generated always as (lower(objective)) stored,
    vertical_key text generated always as (lower(vertical)) stored,
    currency text not null,
    daily_budget_micros bigint check (daily_budget_micros >= 0),
    start_date date not null,
    end_date date check (end_date >= start_date),
    version integer not null default 1,
    impressions bigint not null default 0,
    clicks bigint not null default 0,
    spend_micros bigint not null default 0,
    conversions_micros bigint not null default 0,
    conversion_value_micros bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
  );
  create unique index campaign_external on campaign (workspace_id, platform, account, external_id) where external_id is not null and deleted_at is null;
  create index campaign_name_search on campaign using gin (name gin_trgm_ops) where deleted_at is null;
  create index campaign_by_status on campaign (workspace_id, status, objective_key) where deleted_at is null;
  create index campaign_by_platform on campaign (workspace_id, platform_key, spend_micros) where deleted_at is null;
`;

/** One index for each order that a list can have; the expressions are those of campaign-order.ts, which a test compares. */
const orderSql = (
  [
    ['name', 'lower(name)'],
    ['spend', 'spend_micros'],
    ['impressions', 'impressions'],
    ['clicks', 'clicks'],
    ['conversions', 'conversions_micros'],
    ['ctr', 'coalesce(clicks::float8 / nullif(impressions, 0), -1)'],
    ['cpc', 'coalesce(spend_micros::float8 / nullif(clicks, 0), -1)'],
    ['cpa', 'coalesce(spend_micros::float8 / nullif(conversions_micros, 0), -1)'],
    ['roas', 'coalesce(conversion_value_micros::float8 / nullif(spend_micros, 0), -1)'],
    ['start_date', 'start_date'],
    ['created_at', 'created_at'],
  ] as const
)
  .map(
    ([name, expression]) => `create index campaign_order_${name} on campaign (workspace_id, (${expression}), id) where deleted_at is null;`,
  )
  .join('\n');

const performanceSql = `
  create table performance (
    campaign_id uuid not null references campaign (id),
    date date not null,
    breakdown_key text not null default '',
    impressions bigint not null check (impressions >= 0),
    clicks bigint not null check (clicks >= 0),
    spend_micros bigint not null check (spend_micros >= 0),
    conversions_micros bigint not null check (conversions_micros >= 0),
    conversion_value_micros bigint not null check (conversion_value_micros >= 0),
    primary key (campaign_id, date, breakdown_key)
  );
  create table daily_total (
    workspace_id text not null,
    platform text not null,
    currency text not null,
    date date not null,
    impressions bigint not null,
    clicks bigint not null,
    spend_micros bigint not null,
    conversions_micros bigint not null,
    conversion_value_micros bigint not null,
    primary key (workspace_id, platform, currency, date)
  ) with (fillfactor = 70);
`;

const importSql = `
  create table import_job (
    id uuid primary key,
    workspace_id text not null,
    actor text not null,
    state text not null,
    options jsonb not null,
    report jsonb not null default '{}',
    created_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    ended_at timestamptz
  );
  create index import_job_recent on import_job (workspace_id, created_at);
  -- What a file says, until it is merged. Losing it in a crash loses nothing that was acknowledged: the file is simply sent again.
  create unlogged table import_row (
    import_id uuid not null,
    campaign_ref text not null,
    date date not null,
    breakdown_key text not null,
    impressions bigint not null,
    clicks bigint not null,
    spend_micros bigint not null,
    conversions_micros bigint not null,
    conversion_value_micros bigint not null
  );
  create index import_row_by_campaign on import_row (import_id, campaign_ref);
`;

const auditSql = `
  create table audit_entry (
    id uuid primary key,
    workspace_id text not null,
    entity_type text not null,
    entity_id text not null,
    action text not null,
    actor text not null,
    correlation_id text not null,
    changes jsonb not null,
    at timestamptz not null default now()
  );
  create index audit_entry_by_entity on audit_entry (workspace_id, entity_id, id);
`;

export class Campaigns1763800000000 implements MigrationInterface {
  name = 'Campaigns1763800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const sql of [workspaceSql, campaignSql, orderSql, performanceSql, importSql, auditSql, outboxTableSql, idempotencyTableSql])
      await queryRunner.query(sql);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'drop table audit_entry, import_row, import_job, daily_total, performance, campaign, workspace, outbox, outbox_dead, idempotency_key',
    );
  }
}
