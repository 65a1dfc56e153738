import { alone } from '../retention/alone.js';
import { type Connection, textsFreed } from '../retention/connection.js';
import { dayPartitions } from '../retention/day-partitions.js';
import { reservedNames, textKinds } from '../timelines/dictionary.js';

/** Workspaces of one sweep: it writes down all their texts. */
const workspacesAtOnceMax = 100;
/** Texts of one transaction, which keeps the writers of their workspace out: some milliseconds. */
const textsAtOnceMax = 250;
/** A longer look through all days is followed by a rest of nine times its time, however many erasures ask for one. */
const briefMs = 1_000;
const restFactor = 9;

/** A workspace whose texts are to be swept. */
interface Due {
  readonly number: number;
  /** How many times something has gone from it since its texts were swept. */
  readonly reasons: number;
  /** Erasures that wait for it: their events are deleted. */
  readonly erasures: readonly string[];
}

interface IdleText {
  readonly kind: number;
  readonly code: number;
}

/**
 * Takes away the texts (names, pages, resources, contexts, shapes) to which no event refers any more, and frees their codes for others.
 * What is to be swept stands in the database (`workspace.texts_due`, and the erasures that wait), so a sweep that ends in the middle is
 * begun again; what it had freed by then is free.
 *
 * Writers get codes from `code_texts`, and remember them by `workspace.texts_freed`, which they read under the lock of the workspace that
 * they hold shared until their transaction ends. Codes are freed, and the count goes on, only under that lock, held alone:
 *
 * 1. All texts of the workspace are marked. Then the count goes on: nothing is done under the lock but that. Whoever wrote before it has
 *    committed, and the scan sees it. Whoever writes after it finds nothing in memory and asks `code_texts`, which takes the marks away.
 * 2. The days are looked through, one after the other and without a lock. What an event refers to is struck out, in a list of the sweep's
 *    own.
 * 3. Some at a time, under the lock: what is not struck out and still marked is freed, and the count goes on. That needs no look at any
 *    event. The mark goes in the same transaction, so whoever asks for the text without a lock (`admitEventNames`) is before or after it.
 *
 * So a code in an event that is stored always has its text, and a code in memory is never used after it was freed. Whoever reads takes
 * codes and texts in one statement, which sees both from before or both from after. The names that questions ask for beforehand are never
 * freed.
 */
export class TextSweep {
  private restUntil = 0;

  /**
   * One sweep of what is due: `erasures`, only where somebody waits to be forgotten; `all`, where events went by retention, too. While `goOn`
   * says so. At most one process may be at it.
   */
  async work(connection: Connection, goOn: () => boolean, of: 'erasures' | 'all'): Promise<void> {
    if (Date.now() < this.restUntil) return;
    const due = await findDue(connection, of);
    if (due.length === 0) return;
    try {
      await list(connection, due);
      const marked = await countOn(connection, due);
      const began = Date.now();
      if (!(await strikeOut(connection, marked, goOn))) return;
      const tookMs = Date.now() - began;
      if (tookMs > briefMs) this.restUntil = Date.now() + tookMs * restFactor;
      for (const each of marked) if (await free(connection, each.number, goOn)) await markSwept(connection, each);
    } finally {
      await connection.query('drop table if exists pg_temp.idle_text; truncate text_mark').catch(() => undefined);
    }
  }
}

const findDue = async (connection: Connection, of: 'erasures' | 'all'): Promise<Due[]> => {
  const { rows } = await connection.query<Due>(
    `select w.number, w.texts_due as reasons, coalesce(e.ids, '{}') as erasures from workspace w
     left join (
       select workspace, array_agg(id::text) as ids from erasure e
       where state = 'ERASING' and texts_freed_at is null and not exists (select from erasure_person p where p.erasure = e.id)
       group by workspace
     ) e on e.workspace = w.number
     where e.ids is not null or ($1 and w.texts_due > 0) order by e.ids is null, w.number limit ${workspacesAtOnceMax}`,
    [of === 'all'],
  );
  return rows;
};

/** Marks all texts that may be freed, and lists them. */
const list = async (connection: Connection, due: readonly Due[]): Promise<void> => {
  await connection.query('truncate text_mark; drop table if exists pg_temp.idle_text');
  await connection.query(
    `insert into text_mark (workspace, kind, code) select workspace, kind, code from dictionary
     where workspace = any ($1::int[]) and text is not null and not (kind = ${textKinds.name.number} and text = any ($2::text[]))`,
    [due.map(({ number }) => number), [...reservedNames]],
  );
  await connection.query(`
    create temp table idle_text (workspace int, kind smallint, code int, primary key (workspace, kind, code));
    insert into idle_text select workspace, kind, code from text_mark;
    analyze idle_text, text_mark;
  `);
};

/** Those whose writers were not in the way; the others are still due. */
const countOn = async (connection: Connection, due: readonly Due[]): Promise<readonly Due[]> => {
  const marked: Due[] = [];
  for (const each of due) if (await alone(connection, each.number, () => count(connection, each.number))) marked.push(each);
  return marked;
};

/** Whoever has codes of the workspace in memory asks anew after that. */
const count = async (connection: Connection, workspace: number): Promise<void> => {
  await connection.query('update workspace set texts_freed = texts_freed + 1 where number = $1', [workspace]);
};

/** Kinds are named like the columns. Each by itself: there are few codes of a kind, and nearly as many different sets of five as events. */
const usedCodes = (table: string): string =>
  Object.entries(textKinds)
    .map(
      ([column, { number }]) =>
        `select distinct workspace, ${number} as kind, ${column}::int as code from ${table} where workspace = any ($1::int[])`,
    )
    .join(' union all ');

/** Strikes out what events refer to; the latest days first, for they have most of it. False when it was told to end. */
const strikeOut = async (connection: Connection, due: readonly Due[], goOn: () => boolean): Promise<boolean> => {
  const numbers = due.map(({ number }) => number);
  for (const { table } of (await dayPartitions(connection)).toReversed()) {
    if (!goOn()) return false;
    if ((await connection.query('select from idle_text limit 1')).rows.length === 0) return true;
    await connection.query(
      `delete from idle_text i using (${usedCodes(table)}) as used
       where i.workspace = used.workspace and i.kind = used.kind and i.code = used.code`,
      [numbers],
    );
  }
  return true;
};

/** False when something is left to free: it was told to end, or writers were in the way. */
const free = async (connection: Connection, workspace: number, goOn: () => boolean): Promise<boolean> => {
  for (;;) {
    if (!goOn()) return false;
    const { rows } = await connection.query<IdleText>(
      `delete from idle_text where workspace = $1
         and (kind, code) in (select kind, code from idle_text where workspace = $1 order by kind, code limit ${textsAtOnceMax})
       returning kind, code`,
      [workspace],
    );
    if (rows.length === 0) return true;
    let freed = 0;
    const isDone = await alone(connection, workspace, async () => {
      freed = await freeMarked(connection, workspace, rows);
      if (freed > 0) await count(connection, workspace);
    });
    if (!isDone) return false;
    textsFreed.inc(freed);
  }
};

/** How many of these were still marked. Marks are locked in the order in which `code_texts` does. */
const freeMarked = async (connection: Connection, workspace: number, texts: readonly IdleText[]): Promise<number> => {
  const { rowCount } = await connection.query(
    `with claimed as (
       select m.kind, m.code from text_mark m join unnest($2::int[], $3::int[]) as t (kind, code) on m.kind = t.kind and m.code = t.code
       where m.workspace = $1 order by m.kind, m.code for update of m
     ), unmarked as (
       delete from text_mark m using claimed c where m.workspace = $1 and m.kind = c.kind and m.code = c.code
     )
     update dictionary d set text = null from claimed c where d.workspace = $1 and d.kind = c.kind and d.code = c.code`,
    [workspace, texts.map(({ kind }) => kind), texts.map(({ code }) => code)],
  );
  return rowCount ?? 0;
};

/** What was due when the sweep began, and no more. */
const markSwept = async (connection: Connection, { number, reasons, erasures }: Due): Promise<void> => {
  await connection.query(
    `with swept as (update workspace set texts_due = texts_due - $2 where number = $1)
     update erasure set texts_freed_at = clock_timestamp() where id = any ($3::uuid[])`,
    [number, reasons, erasures],
  );
};
