import { Injectable } from '@nestjs/common';
import { Questions } from '../questions/questions.service.js';
import { type Vocabulary, VocabularyReader } from '../questions/vocabulary.reader.js';
import { textKinds } from '../timelines/dictionary.js';
import { type Session, sessionOfRow, type SessionRow } from './session.js';
import { decodeSessionId } from './session-id.js';
import { everything, ofPersons, sessionedEvents, sessionedValues } from './session-sql.js';

interface Wanted {
  /** Conditions on events, with parameters from $7 on. */
  readonly where: string;
  /** Of which there is one session each; `visit` or `person, visit`. */
  readonly groupBy: string;
  /** Conditions on sessions, as `s`. */
  readonly having: string;
}

const named = (kind: number, code: string): string =>
  `(select d.text from dictionary d where d.workspace = $1 and d.kind = ${kind} and d.code = ${code})`;

/** $5 the code of a page view, $6 the codes of markers. */
const sessionsSql = ({ where, groupBy, having }: Wanted): string => `
  with ${sessionedEvents({ columns: ['name', 'page', 'context', 'received_at', 'message'], where })},
  arrivals as (
    select d.code from dictionary d
    where d.workspace = $1 and d.kind = ${textKinds.context.number} and d.code in (select context from kept) and d.text::json ->> 'utmCampaign' <> ''
  ),
  sessions as (
    select ${groupBy === 'visit' ? '(array_agg(k.person order by k.at, k.received_at, k.message))[1] as person, visit' : groupBy},
      min(k.session) as session, min(k.at) as started_at, max(k.at) as ended_at,
      count(*) filter (where k.name <> all ($6::int[]))::int as events, count(*) filter (where k.name = $5)::int as page_views,
      (array_agg(k.page order by k.at, k.received_at, k.message) filter (where k.name = $5 and k.page <> 0))[1] as entry_page,
      (array_agg(k.page order by k.at desc, k.received_at desc, k.message desc) filter (where k.name = $5 and k.page <> 0))[1] as exit_page,
      (array_agg(k.context order by k.at, k.received_at, k.message) filter (where k.context <> 0))[1] as origin,
      (array_agg(k.context order by k.at, k.received_at, k.message) filter (where a.code is not null))[1] as arrival
    from kept k left join arrivals a on a.code = k.context group by ${groupBy}
  ),
  ranked as (select *, row_number() over (partition by person order by started_at desc, visit) as rank from sessions)
  select s.person, s.started_at, s.ended_at,
    extract(epoch from s.ended_at - s.started_at)::float8 as seconds, s.events, s.page_views,
    (select n.name from session n where n.id = s.session) as name,
    ${named(textKinds.page.number, 's.entry_page')} as entry_page, ${named(textKinds.page.number, 's.exit_page')} as exit_page,
    ${named(textKinds.context.number, 's.origin')} as origin, ${named(textKinds.context.number, 's.arrival')} as arrival
  from ranked s where ${having} order by s.person, s.rank`;

@Injectable()
export class SessionReader {
  constructor(
    private readonly questions: Questions,
    private readonly vocabulary: VocabularyReader,
  ) {}

  /** The latest sessions of each person, the newest first, of what they did themselves in them; in the order of `persons`. */
  async latest(workspace: number, persons: readonly number[], limit: number, includeBots: boolean): Promise<Session[][]> {
    const vocabulary = await this.vocabulary.of(workspace);
    const sql = sessionsSql({ where: ofPersons('$7'), groupBy: 'person, visit', having: 's.rank <= $8' });
    const rows = await this.ask(sql, workspace, includeBots, vocabulary, [persons, limit]);
    const byPerson = Map.groupBy(rows, ({ person }) => person);
    return persons.map((person) => byPerson.get(person) ?? []);
  }

  /** By the client's name for it, or by our id. */
  async byId(workspace: number, id: string, includeBots: boolean): Promise<Session | undefined> {
    return (await this.byName(workspace, id, includeBots)) ?? (await this.derived(workspace, id, includeBots));
  }

  /** All that anybody did in it. Where in time to look is known by the person with whom it began. */
  private async byName(workspace: number, name: string, includeBots: boolean): Promise<Session | undefined> {
    const [found] = await this.questions.ask<{ id: number; from: Date | null; until: Date | null }>(
      `select n.id, min(e.at) as from, max(e.at) as until from session n join person o on o.id = n.person
         join person p on p.canonical = o.canonical join event e on e.person = p.id and e.session = n.id
       where n.workspace = $1 and n.name = $2 group by n.id`,
      [workspace, name],
    );
    if (!found?.from || !found.until) return undefined;
    const range = { from: found.from.toISOString(), until: new Date(found.until.getTime() + 1).toISOString() };
    const values = sessionedValues(workspace, range, includeBots, true);
    const { page, markers } = await this.vocabulary.of(workspace);
    const sql = sessionsSql({ where: 'e.session = $7', groupBy: 'visit', having: 'true' });
    const [row] = await this.questions.ask<SessionRow>(sql, [...values, page, markers, found.id]);
    return row && sessionOfRow(row);
  }

  private async derived(workspace: number, id: string, includeBots: boolean): Promise<Session | undefined> {
    const wanted = decodeSessionId(id);
    if (!wanted) return undefined;
    const [person] = await this.questions.ask<{ canonical: number }>('select canonical from person where workspace = $1 and id = $2', [
      workspace,
      wanted.person,
    ]);
    if (!person) return undefined;
    const vocabulary = await this.vocabulary.of(workspace);
    const sql = sessionsSql({
      where: `e.session = 0 and ${ofPersons('$7')}`,
      groupBy: 'visit',
      having: 'to_timestamp($8::float8 / 1000) between s.started_at and s.ended_at',
    });
    const [session] = await this.ask(sql, workspace, includeBots, vocabulary, [[person.canonical], wanted.atMs]);
    return session;
  }

  private async ask(
    sql: string,
    workspace: number,
    includeBots: boolean,
    { page, markers }: Vocabulary,
    more: readonly unknown[],
  ): Promise<Session[]> {
    const values = sessionedValues(workspace, everything, includeBots, true);
    const rows = await this.questions.ask<SessionRow>(sql, [...values, page, markers, ...more]);
    return rows.map(sessionOfRow);
  }
}
