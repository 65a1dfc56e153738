import { Injectable } from '@nestjs/common';
import { sessionedEvents, sessionedValues } from '../sessions/session-sql.js';
import { textKinds } from '../timelines/dictionary.js';
import { Questions } from '../questions/questions.service.js';
import type { TimeRange } from '../questions/time-range.js';
import { VocabularyReader } from '../questions/vocabulary.reader.js';

/** What a campaign may be called by in utm_campaign. */
export interface CampaignNames {
  readonly id: string;
  readonly name: string;
  readonly externalId: string | null;
}

/** What came of a campaign on the site, by the sessions that began in the range and are its own. */
export interface CampaignSums {
  readonly sessions: number;
  readonly users: number;
  readonly conversions: number;
  /** Bounces of the sessions, a fraction; null without a session. */
  readonly bounceRate: number | null;
  readonly averageSessionSeconds: number | null;
}

const nothing: CampaignSums = { sessions: 0, users: 0, conversions: 0, bounceRate: null, averageSessionSeconds: null };

const utmCampaign = `lower(d.text::json ->> 'utmCampaign')`;

/**
 * A session belongs to the campaign of its first event that names one. $5 and $6 are campaigns by index and name, $7 and $8 the range, $9 the
 * code of a page view, $10 those of markers, $11 names of conversions. Only sessions with an event that names one of the campaigns are read.
 */
const campaignsSql = `
  with conversions as materialized (select code_of($1, ${textKinds.name.number}, name) as code from unnest($11::text[]) as name),
  wanted as (select distinct campaign, lower(name) as name from unnest($5::int[], $6::text[]) as w (campaign, name)),
  arrivals as (
    select d.code, ${utmCampaign} as name from dictionary d
    where d.workspace = $1 and d.kind = ${textKinds.context.number} and ${utmCampaign} <> ''
  ),
  touched as materialized (
    select distinct e.session, case when e.session = 0 then p.canonical end as person from event e join person p on p.id = e.person
    where e.workspace = $1 and e.at >= $2::timestamptz and e.at < $3::timestamptz and ($4::boolean or not e.is_bot)
      and e.context in (select a.code from arrivals a where a.name in (select w.name from wanted w))
  ),
  ${sessionedEvents({
    columns: ['name', 'context', 'received_at', 'message'],
    where: `(e.session in (select t.session from touched t where t.session <> 0)
      or e.session = 0 and p.canonical in (select t.person from touched t where t.session = 0))`,
  })},
  sessions as (
    select (array_agg(k.person order by k.at, k.received_at, k.message))[1] as person,
      (array_agg(a.name order by k.at, k.received_at, k.message) filter (where a.name is not null))[1] as name,
      min(k.at) as started_at, extract(epoch from max(k.at) - min(k.at)) as seconds,
      count(*) filter (where k.name <> all ($10::int[])) = 1 and count(*) filter (where k.name = $9) = 1 as is_bounce,
      count(*) filter (where k.name in (select c.code from conversions c)) as conversions
    from kept k left join arrivals a on a.code = k.context group by k.visit
  )
  select w.campaign, count(*)::int as sessions, count(distinct s.person)::int as users, sum(s.conversions)::float8 as conversions,
    avg(s.is_bounce::int)::float8 as "bounceRate", avg(s.seconds)::float8 as "averageSessionSeconds"
  from sessions s join wanted w on w.name = s.name
  where s.started_at >= $7::timestamptz and s.started_at < $8::timestamptz group by w.campaign`;

@Injectable()
export class CampaignBehaviourReader {
  constructor(
    private readonly questions: Questions,
    private readonly vocabulary: VocabularyReader,
  ) {}

  /** In the order of `campaigns`, all of them in one statement. */
  async of(
    workspace: number,
    campaigns: readonly CampaignNames[],
    range: TimeRange,
    conversionEvents: readonly string[],
    includeBots: boolean,
  ): Promise<CampaignSums[]> {
    const names = campaigns.flatMap(({ id, name, externalId }, campaign) =>
      [id, name, externalId].flatMap((each) => (each ? [{ campaign, name: each }] : [])),
    );
    const { page, markers } = await this.vocabulary.of(workspace);
    const rows = await this.questions.ask<{ campaign: number } & CampaignSums>(campaignsSql, [
      ...sessionedValues(workspace, range, includeBots, true),
      names.map(({ campaign }) => campaign),
      names.map(({ name }) => name),
      range.from,
      range.until,
      page,
      markers,
      conversionEvents,
    ]);
    const byCampaign = new Map(rows.map(({ campaign, ...sums }) => [campaign, sums]));
    return campaigns.map((_campaign, index) => byCampaign.get(index) ?? nothing);
  }
}
