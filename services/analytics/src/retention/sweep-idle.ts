import { alone } from './alone.js';
import type { Connection, GoOn } from './connection.js';
import { dayPartitions } from './day-partitions.js';
import type { Due } from './due.js';

/** Persons of one transaction, which keeps the writers of their workspace out; some milliseconds, as sessions. */
const personsAtOnceMax = 200;
const sessionsAtOnceMax = 5_000;

/**
 * Deletes the persons of whom nothing was heard within the retention, and sessions without events. False when something is left to do:
 * it was told to end, or writers of a workspace were in the way.
 *
 * Nobody is kept out while it looks through the days. What is idle at the first look is marked, then the count of erasures goes on under the
 * lock of the workspace, then it looks again. Whoever wrote before that count has committed, and the second look sees it. Whoever writes
 * after it finds nothing in memory, asks `number_persons` and `number_sessions`, and those take the marks away. So what is still marked when
 * the lock is had once more has no events, without a look at any day.
 */
export const sweepIdle = async (connection: Connection, due: readonly Due[], goOn: GoOn): Promise<boolean> => {
  try {
    if ((await findCandidates(connection, due)) === 0) return true;
    if (!(await keepSeen(connection, goOn))) return false;
    const isMarked = await mark(connection);
    return (await keepSeen(connection, goOn)) && (await deleteIdle(connection, goOn)) && isMarked;
  } finally {
    await connection.query('drop table if exists pg_temp.idle_person, pg_temp.idle_session; truncate idle_mark').catch(() => undefined);
  }
};

/** Persons who are known for longer than the retention, and their sessions, whether they have events or not; answers how many. */
const findCandidates = async (connection: Connection, due: readonly Due[]): Promise<number> => {
  await connection.query(`
    drop table if exists pg_temp.idle_person, pg_temp.idle_session;
    create temp table idle_person (id int primary key, workspace int not null, canonical int not null, cutoff timestamptz not null);
    -- heir: somebody who has events in it.
    create temp table idle_session (id int primary key, workspace int not null, heir int);
  `);
  const values = [due.map(({ number }) => number), due.map(({ cutoff }) => cutoff)];
  const old = `unnest($1::int[], $2::timestamptz[]) as w (number, cutoff)
    join person p on p.workspace = w.number and greatest(p.created_at, p.traits_at) < w.cutoff`;
  const persons = await connection.query(`insert into idle_person select p.id, p.workspace, p.canonical, w.cutoff from ${old}`, values);
  if (persons.rowCount === 0) return 0;
  await connection.query(`insert into idle_session select s.id, s.workspace from ${old} join session s on s.person = p.id`, values);
  await connection.query('analyze idle_person; analyze idle_session');
  return persons.rowCount ?? 0;
};

/** Strikes out who has events. Day after day, and without a lock that anybody would notice. */
const keepSeen = async (connection: Connection, goOn: GoOn): Promise<boolean> => {
  for (const { table } of await dayPartitions(connection)) {
    if (!(await goOn())) return false;
    await connection.query(`delete from idle_person i where exists (select from ${table} e where e.person = i.id)`);
    await connection.query(
      `update idle_session i set heir = seen.person from (
         select e.session, min(e.person) as person from ${table} e join idle_session o on o.id = e.session and o.heir is null
         join person p on p.id = e.person group by e.session
       ) seen where seen.session = i.id`,
    );
  }
  // A person goes with all ids or with none, so nobody need be kept out for some of them.
  await connection.query(`delete from idle_person i using person p
    where p.canonical = i.canonical and not exists (select from idle_person j where j.id = p.id)`);
  return true;
};

/** Marks what is idle, so that whoever comes back shows. False when writers of a workspace were in the way: nothing of it is marked. */
const mark = async (connection: Connection): Promise<boolean> => {
  await connection.query(`
    truncate idle_mark;
    insert into idle_mark select false, id from idle_person union all select true, id from idle_session where heir is null;
    analyze idle_mark;
  `);
  let isThrough = true;
  for (const workspace of await idleWorkspaces(connection)) {
    if (await aloneWithIds(connection, workspace, () => Promise.resolve())) continue;
    isThrough = false;
    await connection.query('delete from idle_person where workspace = $1', [workspace]);
    await connection.query('delete from idle_session where workspace = $1', [workspace]);
  }
  return isThrough;
};

const idleWorkspaces = async (connection: Connection): Promise<number[]> => {
  const { rows } = await connection.query<{ workspace: number }>(
    'select workspace from idle_person union select workspace from idle_session where heir is null order by 1',
  );
  return rows.map(({ workspace }) => workspace);
};

const deleteIdle = async (connection: Connection, goOn: GoOn): Promise<boolean> => {
  let isThrough = true;
  for (const workspace of await idleWorkspaces(connection)) {
    for (const deleteSome of [deleteSessions, deletePersons]) {
      for (;;) {
        if (!(await goOn())) return false;
        const outcome = await deleteSome(connection, workspace);
        if (outcome === 'none left') break;
        isThrough &&= outcome === 'deleted';
      }
    }
  }
  return isThrough;
};

type Outcome = 'deleted' | 'in the way' | 'none left';

const deleteSessions = async (connection: Connection, workspace: number): Promise<Outcome> => {
  const { rows } = await connection.query<{ id: number }>(
    `delete from idle_session where id in (select id from idle_session where workspace = $1 and heir is null limit ${sessionsAtOnceMax})
     returning id`,
    [workspace],
  );
  if (rows.length === 0) return 'none left';
  const isDone = await aloneWithIds(connection, workspace, async () => {
    await connection.query(
      'delete from session s where id = any ($1::int[]) and exists (select from idle_mark m where m.is_session and m.id = s.id)',
      [rows.map(({ id }) => id)],
    );
  });
  return isDone ? 'deleted' : 'in the way';
};

/**
 * What was said of them in the meantime counts too. Their sessions without events are gone already; those of others go to one of these, and
 * who has any other session stays until the next sweep.
 */
const deletePersons = async (connection: Connection, workspace: number): Promise<Outcome> => {
  const { rows } = await connection.query<{ id: number; cutoff: Date }>(
    `delete from idle_person where canonical in (
       select distinct canonical from idle_person where workspace = $1 limit ${personsAtOnceMax}
     ) returning id, cutoff`,
    [workspace],
  );
  const [first] = rows;
  if (!first) return 'none left';
  const isDone = await aloneWithIds(connection, workspace, async () => {
    await connection.query(
      `with idle as materialized (
         select p.id, p.canonical from person p
         where p.id = any ($1::int[]) and greatest(p.created_at, p.traits_at) < $2
           and exists (select from idle_mark m where not m.is_session and m.id = p.id)
           and not exists (select from session s where s.person = p.id
             and not exists (select from idle_session i join person h on h.id = i.heir where i.id = s.id))
       ), gone as (
         delete from person p using idle
         where p.id = idle.id and not exists (select from person o where o.canonical = p.canonical and o.id not in (select id from idle))
         returning p.id
       ) update session s set person = i.heir from gone, idle_session i where s.person = gone.id and i.id = s.id`,
      [rows.map(({ id }) => id), first.cutoff],
    );
  });
  return isDone ? 'deleted' : 'in the way';
};

/** Whoever has ids of the workspace in memory asks anew after that. */
const aloneWithIds = (connection: Connection, workspace: number, work: () => Promise<void>): Promise<boolean> =>
  alone(connection, workspace, async () => {
    await work();
    await connection.query('update workspace set erasures = erasures + 1 where number = $1', [workspace]);
  });
