import type { MigrationInterface, QueryRunner } from 'typeorm';
import { codeTextsSql } from './0001-analytics.js';

/**
 * Texts to which no event refers any more are taken away, and their codes are given to others; how, stands in `src/erasure/text.sweep.ts`.
 * A code without a text is free.
 */
const freeTextsSql = `
  alter table dictionary alter column text drop not null;
  create index dictionary_free on dictionary (workspace, kind, code) where text is null;
  -- texts_freed: how often texts were taken away, so that whoever holds codes in memory notices. texts_due: how often something has gone since
  -- the texts were looked through last; of what was there before this migration, nothing was looked through ever.
  alter table workspace add column texts_freed int not null default 0, add column texts_due int not null default 1;
  alter table workspace alter column texts_due set default 0;
  alter table erasure add column texts_freed_at timestamptz;
  update erasure set texts_freed_at = stores_clean_at where stores_clean_at is not null;
  -- Codes that a sweep is about to free, unless somebody asks for them in the meantime.
  create unlogged table text_mark (
    workspace int not null,
    kind smallint not null,
    code int not null,
    primary key (workspace, kind, code)
  );
  -- Codes of texts, in their order: those that are there, and free ones, the lowest first, as long as they are not over the text's maximum.
  -- None of them is marked when it answers. Marks are locked in one order, so that two at once never wait in a circle.
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
      ) and not exists (
        select from dictionary d where d.workspace = pair.workspace and d.kind = pair.kind and d.code <= pair.maximum and d.text is null
      );
      -- Whoever codes texts of this kind at the same time waits, then finds these.
      perform pg_advisory_xact_lock(7161629400000000000 + pair.workspace::bigint * 8 + pair.kind);
      select coalesce(max(d.code), 0) into top from dictionary d where d.workspace = pair.workspace and d.kind = pair.kind;
      insert into dictionary (workspace, kind, code, text)
      select pair.workspace, pair.kind, room.code, fresh.text
      from (
        select t.text, row_number() over (order by t.place) as n
        from unnest(in_workspaces, in_kinds, in_texts, codes) with ordinality as t (workspace, kind, text, code, place)
        where t.workspace = pair.workspace and t.kind = pair.kind and t.code is null and code_of(t.workspace, t.kind, t.text) is null
      ) as fresh
      join (
        select free.code, row_number() over (order by free.code) as n from (
          (
            select d.code from dictionary d
            where d.workspace = pair.workspace and d.kind = pair.kind and d.code <= pair.maximum and d.text is null
            order by d.code limit cardinality(in_texts)
          )
          union all select generate_series(top + 1, least(pair.maximum, top + cardinality(in_texts)))
        ) as free
      ) as room using (n)
      on conflict (workspace, kind, code) do update set text = excluded.text;
      codes := array(
        select case
          when t.code is null and t.workspace = pair.workspace and t.kind = pair.kind then code_of(t.workspace, t.kind, t.text)
          else t.code
        end
        from unnest(in_workspaces, in_kinds, in_texts, codes) with ordinality as t (workspace, kind, text, code, place) order by t.place
      );
    end loop;
    if exists (select from text_mark) then
      with wanted as (
        select m.workspace, m.kind, m.code from text_mark m
        join unnest(in_workspaces, in_kinds, codes) as t (workspace, kind, code)
          on m.workspace = t.workspace and m.kind = t.kind and m.code = t.code
        order by m.workspace, m.kind, m.code for update of m
      )
      delete from text_mark m using wanted w where m.workspace = w.workspace and m.kind = w.kind and m.code = w.code;
    end if;
    return codes;
  end $$;
`;

export class FreeTexts1764200000000 implements MigrationInterface {
  name = 'FreeTexts1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(freeTextsSql);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(codeTextsSql);
    await runner.query(`
      delete from dictionary where text is null;
      drop index dictionary_free;
      alter table dictionary alter column text set not null;
      drop table text_mark;
      alter table workspace drop column texts_freed, drop column texts_due;
      alter table erasure drop column texts_freed_at;
    `);
  }
}
