import { inboxTableSql, outboxTableSql } from '@pca/outbox';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Settings are a projection of what campaigns announces. `number` stands for the workspace in every row of this database; `erasures` counts
 * how often somebody was forgotten, so that whoever holds ids in memory notices.
 */
const workspaceSql = `
  create table workspace (
    number int generated always as identity primary key,
    id text not null unique,
    time_zone text not null default 'UTC',
    first_day_of_week smallint not null default 1,
    ip_policy text not null default 'DROP',
    ip_salt bytea not null default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    retention_days int not null default 3650 check (retention_days between 1 and 3650),
    -- UTC day up to which older events are gone; null: somebody changed the retention since.
    retention_swept_on date,
    erasures int not null default 0
  );
  create table ingest_key (
    id uuid primary key,
    workspace_id text not null,
    name text not null,
    -- SHA-256 of the key; the key itself is shown once and kept nowhere.
    digest bytea not null unique,
    -- Its first characters, so that people can tell keys apart.
    prefix text not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    -- Of a key that another one took the place of.
    expires_at timestamptz,
    revoked_at timestamptz
  );
  create index ingest_key_by_workspace on ingest_key (workspace_id, created_at);
`;

/**
 * Texts that come again and again stand as small numbers in the events: `kind` 1 event name, 2 page, 3 resource, 4 context (JSON of where the
 * event came from), 5 shape (JSON array of the names of its properties). Code 0 is "none" and has no row.
 */
const dictionarySql = `
  create table dictionary (
    workspace int not null,
    kind smallint not null,
    code int not null,
    text text not null,
    primary key (workspace, kind, code)
  );
  create index dictionary_text on dictionary (hashtextextended(text, workspace::bigint * 8 + kind));
  create index dictionary_utm_campaign on dictionary (workspace, (lower(text::json ->> 'utmCampaign'))) where kind = 4;
  -- The code of a text; null where it has none. By the hash alone, because the planner takes the primary key, and reads all texts of a kind,
  -- where it may. Plans outlive the time when a table was small, hence no scans, here and below.
  create function code_of(in_workspace int, in_kind int, in_text text) returns int
  language plpgsql stable set enable_seqscan = off as $$
  begin
    return (
      select code from (
        select * from dictionary
        where hashtextextended(text, workspace::bigint * 8 + kind) = hashtextextended(in_text, in_workspace::bigint * 8 + in_kind) offset 0
      ) as found where workspace = in_workspace and kind = in_kind and text = in_text
    );
  end $$;
`;

export const codeTextsSql = `
  -- Codes of texts, in their order: those that are there, and new ones, without a gap, as long as they are not over the text's maximum.
  create or replace function code_texts(in_workspaces int[], in_kinds int[], in_texts text[], in_maxima int[]) returns int[]
  language plpgsql set enable_seqscan = off as $$
  declare
    codes int[] := array(
      select code_of(t.workspace, t.kind, t.text)
      from unnest(in_workspaces, in_kinds, in_texts) with ordinality as t (workspace, kind, text, place) order by t.place
    );
    pair record;
    top int;
  begin
    for pair in
      select t.workspace, t.kind, max(t.maximum) as maximum
      from unnest(in_workspaces, in_kinds, in_maxima, codes) as t (workspace, kind, maximum, code) where t.code is null
      group by t.workspace, t.kind order by t.workspace, t.kind
    loop
      continue when exists (
        select from dictionary d where d.workspace = pair.workspace and d.kind = pair.kind and d.code >= pair.maximum
      );
      -- Whoever codes texts of this kind at the same time waits, then finds these.
      perform pg_advisory_xact_lock(7161629400000000000 + pair.workspace::bigint * 8 + pair.kind);
      select coalesce(max(d.code), 0) into top from dictionary d where d.workspace = pair.workspace and d.kind = pair.kind;
      insert into dictionary (workspace, kind, code, text)
      select pair.workspace, pair.kind, top + row_number() over (order by t.place), t.text
      from unnest(in_workspaces, in_kinds, in_texts, codes) with ordinality as t (workspace, kind, text, code, place)
      where t.workspace = pair.workspace and t.kind = pair.kind and t.code is null and code_of(t.workspace, t.kind, t.text) is null
      order by t.place limit greatest(pair.maximum - top, 0);
      codes := array(
        select case
          when t.code is null and t.workspace = pair.workspace and t.kind = pair.kind then code_of(t.workspace, t.kind, t.text)
          else t.code
        end
        from unnest(in_workspaces, in_kinds, in_texts, codes) with ordinality as t (workspace, kind, text, code, place) order by t.place
      );
    end loop;
    return codes;
  end $$;
`;

/**
 * One row for each id that a client named. `canonical` is the person it belongs to, itself where nobody was merged: events keep the id under
 * which they came and are never rewritten.
 */
const personSql = `
  create table person (
    id int generated always as identity primary key,
    workspace int not null,
    is_known boolean not null,
    external_id text not null,
    canonical int not null default currval(pg_get_serial_sequence('person', 'id')),
    -- Another id took its place by an alias, so it does not speak for its person.
    is_aliased boolean not null default false,
    traits json,
    -- When each of them was said, in ms since 1970: what was said last counts, in whatever order it arrived.
    trait_times json,
    -- The latest of these times.
    traits_at timestamptz,
    created_at timestamptz not null default now()
  );
  create unique index person_external on person (workspace, external_id, is_known);
  create index person_canonical on person (canonical);
  create table session (
    id int generated always as identity primary key,
    workspace int not null,
    name text not null,
    person int not null
  );
  create unique index session_name on session (workspace, name);
  create index session_person on session (person);
  -- Persons and sessions that a sweep is about to delete, unless somebody names them in the meantime.
  create unlogged table idle_mark (
    is_session boolean not null,
    id int not null,
    primary key (is_session, id)
  );
  -- Numbers in the order of the ids, new ones for those that are not there. Sorted, so that two at once never wait in a circle; those that
  -- are there are not inserted again, because each attempt takes a number.
  create function number_persons(in_workspaces int[], in_known boolean[], in_ids text[]) returns int[]
  language plpgsql set enable_seqscan = off as $$
  declare
    numbers int[];
  begin
    insert into person (workspace, is_known, external_id)
    select t.workspace, t.is_known, t.id from unnest(in_workspaces, in_known, in_ids) as t (workspace, is_known, id)
    where (select p.id from person p where p.workspace = t.workspace and p.external_id = t.id and p.is_known = t.is_known) is null
    order by t.workspace, t.id, t.is_known
    on conflict do nothing;
    numbers := array(
      select (select p.id from person p where p.workspace = t.workspace and p.external_id = t.id and p.is_known = t.is_known)
      from unnest(in_workspaces, in_known, in_ids) with ordinality as t (workspace, is_known, id, place) order by t.place
    );
    delete from idle_mark where not is_session and id = any (numbers);
    return numbers;
  end $$;
  -- A session whose person was erased goes on as that of whoever comes with it now.
  create function number_sessions(in_workspaces int[], in_names text[], in_persons int[]) returns int[]
  language plpgsql set enable_seqscan = off as $$
  declare
    orphan record;
    numbers int[];
  begin
    for orphan in
      select * from (
        select t.workspace, t.name, t.person, (select s.id from session s where s.workspace = t.workspace and s.name = t.name
          and not exists (select from person p where p.id = s.person)) as id
        from unnest(in_workspaces, in_names, in_persons) as t (workspace, name, person)
      ) o where o.id is not null order by o.workspace, o.name
    loop
      update session set person = orphan.person where id = orphan.id and not exists (select from person p where p.id = session.person);
    end loop;
    insert into session (workspace, name, person)
    select t.workspace, t.name, t.person from unnest(in_workspaces, in_names, in_persons) as t (workspace, name, person)
    where (select s.id from session s where s.workspace = t.workspace and s.name = t.name) is null
    order by t.workspace, t.name
    on conflict do nothing;
    numbers := array(
      select (select s.id from session s where s.workspace = t.workspace and s.name = t.name)
      from unnest(in_workspaces, in_names) with ordinality as t (workspace, name, place) order by t.place
    );
    delete from idle_mark where is_session and id = any (numbers);
    return numbers;
  end $$;
`;

/**
 * The source of truth of what happened, a partition for each UTC day. Codes are of `dictionary`; `session` 0: the client named none;
 * `properties` are the values of the shape's names as a JSON array, or with shape 0 a JSON object. `message` breaks ties of `at` and
 * `received_at`: the messageId in UTF-8, or for a UUID a zero byte and its 16 bytes. Columns stand by their alignment.
 */
const eventSql = `
  create table event (
    at timestamptz not null,
    received_at timestamptz not null,
    workspace int not null,
    person int not null,
    session int not null,
    page int not null,
    resource int not null,
    context int not null,
    name smallint not null,
    shape smallint not null,
    is_bot boolean not null,
    message bytea not null,
    properties text not null
  ) partition by range (at);
  create index event_at on event using brin (at);
  create index event_person on event (person);
  -- Digests of (workspace, messageId): what was stored within 30 days, whichever day it happened on.
  create table seen_message (
    digest bigint not null,
    day int not null
  );
  create unique index seen_message_digest on seen_message (digest);
  -- Partitions of days, numbered from 1970-01-01. Attaching one waits for no reader and no writer; creating it as a part would wait for all.
  create function ensure_event_days(in_days int[]) returns void language plpgsql as $$
  declare
    day date;
    part text;
  begin
    perform pg_advisory_xact_lock(7161629399);
    for day in select date '1970-01-01' + n from unnest(in_days) as t (n) order by n loop
      part := 'event_' || to_char(day, 'YYYYMMDD');
      continue when exists (select from pg_inherits where inhparent = 'event'::regclass and inhrelid = to_regclass(part));
      execute format('create table if not exists %I (like event including defaults including constraints including indexes)', part);
      execute format('alter table event attach partition %I for values from (%L) to (%L)', part, day || ' 00:00+00', day + 1 || ' 00:00+00');
    end loop;
  end $$;
`;

const erasureSql = `
  create table erasure (
    id uuid primary key,
    workspace int not null,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    state text not null,
    events_deleted bigint not null default 0,
    stores_clean_at timestamptz,
    done_at timestamptz
  );
  -- Numbers of persons whose rows are gone and whose events and sessions still have to go.
  create table erasure_person (
    erasure uuid not null,
    person int not null,
    primary key (erasure, person)
  );
  -- Digests of erased ids: nothing that happened or was received before erased_at comes back.
  create table tombstone (
    workspace int not null,
    digest bytea not null,
    erased_at timestamptz not null,
    erasure uuid not null,
    primary key (workspace, digest)
  );
`;

export class Analytics1763900000000 implements MigrationInterface {
  name = 'Analytics1763900000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [workspaceSql, dictionarySql, codeTextsSql, personSql, eventSql, erasureSql, outboxTableSql, inboxTableSql])
      await runner.query(sql);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table event, seen_message, idle_mark, session, person, dictionary, tombstone, erasure, erasure_person, ingest_key,
      workspace, inbox, consumer_group, outbox, outbox_dead`);
    await runner.query('drop function code_texts, code_of, number_persons, number_sessions, ensure_event_days');
  }
}
