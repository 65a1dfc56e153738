import { workspaceLockNamespace } from '../timelines/workspace-lock.js';
import { type Connection, type GoOn, inTransaction } from './connection.js';
import { dayPartitions } from './day-partitions.js';
import type { Due } from './due.js';

/** Persons of one transaction, which keeps the writers of their workspace out while it looks for their events once more. */
const personsAtOnceMax = 200;
const sessionsAtOnceMax = 5_000;
const lockWait = '1s';

/**
 * Deletes the persons of whom nothing was heard within the retention, and sessions without events. False when it was told to end before it
 * was through.
 */
export const sweepIdle = async (connection: Connection, due: readonly Due[], goOn: GoOn): Promise<boolean> => {
  try {
    return (await findCandidates(connection, due)) === 0 || ((await keepSeen(connection, goOn)) && (await deleteIdle(connection, goOn)));
  } finally {
    await connection.query('drop table if exists pg_temp.idle_person, pg_temp.idle_session').catch(() => undefined);
  }
};

/** Persons who are known for longer than the retention, and their sessions, whether they have events or not; answers how many. */
const findCandidates = async (connection: Connection, due: readonly Due[]): Promise<number> => {
  await connection.query(`
    drop table if exists pg_temp.idle_person, pg_temp.idle_session;
    create temp table idle_person (id int primary key, workspace int not null, canonical int not null);
    create temp table idle_session (id int primary key, workspace int not null);
  `);
  const values = [due.map(({ number }) => number), due.map(({ cutoff }) => cutoff)];
  const old = `unnest($1::int[], $2::timestamptz[]) as w (number, cutoff)
    join person p on p.workspace = w.number and greatest(p.created_at, p.traits_at) < w.cutoff`;
  const persons = await connection.query(`insert into idle_person select p.id, p.workspace, p.canonical from ${old}`, values);
  if (persons.rowCount === 0) return 0;
  await connection.query(`insert into idle_session select s.id, s.workspace from ${old} join session s on s.person = p.id`, values);
  await connection.query('analyze idle_person; analyze idle_session');
  return persons.rowCount ?? 0;
};

/** Strikes out what has events. Day after day, and without a lock that anybody would notice. */
const keepSeen = async (connection: Connection, goOn: GoOn): Promise<boolean> => {
  for (const { table } of await dayPartitions(connection)) {
    if (!(await goOn())) return false;
    await connection.query(`delete from idle_person i where exists (select from ${table} e where e.person = i.id)`);
    await connection.query(`delete from idle_session i where exists (select from ${table} e where e.session = i.id)`);
  }
  // A person goes with all ids or with none, so nobody need be kept out for some of them.
  await connection.query(`delete from idle_person i using person p
    where p.canonical = i.canonical and not exists (select from idle_person j where j.id = p.id)`);
  return true;
};

const deleteIdle = async (connection: Connection, goOn: GoOn): Promise<boolean> => {
  const { rows } = await connection.query<{ workspace: number }>(
    'select workspace from idle_person union select workspace from idle_session order by 1',
  );
  for (const { workspace } of rows) {
    while ((await goOn()) && (await deletePersons(connection, workspace)));
    while ((await goOn()) && (await deleteSessions(connection, workspace)));
  }
  return goOn();
};

/** False when there are none left. */
const deletePersons = async (connection: Connection, workspace: number): Promise<boolean> => {
  const { rows } = await connection.query<{ id: number }>(
    `delete from idle_person where canonical in (
       select distinct canonical from idle_person where workspace = $1 limit ${personsAtOnceMax}
     ) returning id`,
    [workspace],
  );
  if (rows.length === 0) return false;
  const ids = new Set(rows.map(({ id }) => id));
  await alone(connection, workspace, async () => {
    for (const { table } of await dayPartitions(connection)) {
      const seen = await connection.query<{ person: number }>(`select distinct person from ${table} where person = any ($1::int[])`, [
        [...ids],
      ]);
      for (const { person } of seen.rows) ids.delete(person);
    }
    await connection.query(
      `with gone as (
         delete from person p where p.id = any ($1::int[])
         and not exists (select from person o where o.canonical = p.canonical and o.id <> all ($1::int[])) returning p.id
       ) delete from session s using gone where s.person = gone.id`,
      [[...ids]],
    );
  });
  return true;
};

/**
 * False when there are none left. A session that is heard of for the first time after all this time between the look and this loses its name:
 * looking once more, where sessions have no index, would keep writers out for long.
 */
const deleteSessions = async (connection: Connection, workspace: number): Promise<boolean> => {
  const { rows } = await connection.query<{ id: number }>(
    `delete from idle_session where id in (select id from idle_session where workspace = $1 limit ${sessionsAtOnceMax}) returning id`,
    [workspace],
  );
  if (rows.length === 0) return false;
  await alone(connection, workspace, async () => {
    await connection.query('delete from session where id = any ($1::int[])', [rows.map(({ id }) => id)]);
  });
  return true;
};

/** Works while nobody writes events of the workspace; then whoever has its ids in memory asks anew. */
const alone = (connection: Connection, workspace: number, work: () => Promise<void>): Promise<void> =>
  inTransaction(connection, async () => {
    await connection.query(`set local lock_timeout = '${lockWait}'`);
    await connection.query('select pg_advisory_xact_lock($1, $2)', [workspaceLockNamespace, workspace]);
    await work();
    await connection.query('update workspace set erasures = erasures + 1 where number = $1', [workspace]);
  });
