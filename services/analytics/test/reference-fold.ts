/** The meaning of sessions and counts as plain loops over events: what the statements of the service are held to. */
export interface FoldedEvent {
  readonly at: number;
  readonly receivedAt: number;
  readonly messageId: string;
  /** Whoever it is in the end. */
  readonly person: string;
  readonly session: string | null;
  readonly event: string;
  readonly page: string | null;
  readonly resource: string | null;
  readonly device: string | null;
  readonly utmCampaign: string | null;
  readonly isBot: boolean;
}

export interface FoldedSession {
  readonly events: readonly FoldedEvent[];
  readonly startedAt: number;
  readonly endedAt: number;
}

const silenceMs = 30 * 60_000;
const isCounted = ({ event }: FoldedEvent): boolean => event !== '$session_start' && event !== '$session_end';
const isPageView = ({ event }: FoldedEvent): boolean => event === 'page';

export const inOrder = (events: readonly FoldedEvent[]): FoldedEvent[] =>
  [...events].sort(
    (a, b) => a.at - b.at || a.receivedAt - b.receivedAt || Buffer.compare(Buffer.from(a.messageId), Buffer.from(b.messageId)),
  );

/** Named ones by their name, whoever was in it; the others by person and silence. */
export const foldSessions = (events: readonly FoldedEvent[]): FoldedSession[] => {
  const open = new Map<string, FoldedEvent[]>();
  const all: FoldedEvent[][] = [];
  for (const event of inOrder(events)) {
    const key = event.session === null ? `person ${event.person}` : `session ${event.session}`;
    const known = open.get(key);
    const last = known?.at(-1);
    if (known && last && (event.session !== null || event.at - last.at <= silenceMs)) known.push(event);
    else {
      const made = [event];
      open.set(key, made);
      all.push(made);
    }
  }
  return all.map((each) => ({ events: each, startedAt: (each[0] as FoldedEvent).at, endedAt: (each.at(-1) as FoldedEvent).at }));
};

export interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
}

const within = (at: number, { from, until }: Range): boolean => at >= from && at < until;
const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
const secondsOf = ({ startedAt, endedAt }: FoldedSession): number => (endedAt - startedAt) / 1000;

export const isBounce = ({ events }: FoldedSession): boolean => {
  const counted = events.filter(isCounted);
  return counted.length === 1 && counted.every(isPageView);
};

export const foldTotals = (events: readonly FoldedEvent[], range: Range) => {
  const inside = events.filter(({ at }) => within(at, range));
  const began = foldSessions(events).filter(({ startedAt }) => within(startedAt, range));
  return {
    activeUsers: new Set(inside.map(({ person }) => person)).size,
    events: inside.filter(isCounted).length,
    pageViews: inside.filter(isPageView).length,
    sessions: began.length,
    bounceRate: mean(began.map((session) => Number(isBounce(session)))),
    averageSessionSeconds: mean(began.map(secondsOf)),
  };
};

/** By the text that `by` gives; null leaves an event out. */
export const foldUsage = (events: readonly FoldedEvent[], range: Range, by: (event: FoldedEvent) => string | null) => {
  const inside = events.filter((event) => within(event.at, range));
  const sessions = foldSessions(inside);
  const texts = new Set(inside.filter(isCounted).flatMap((event) => by(event) ?? []));
  return [...texts]
    .map((text) => {
      const own = inside.filter((event) => isCounted(event) && by(event) === text);
      return {
        text,
        count: own.length,
        users: new Set(own.map(({ person }) => person)).size,
        sessions: sessions.filter((session) => session.events.some((event) => isCounted(event) && by(event) === text)).length,
      };
    })
    .sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1));
};

/** `dayOf` gives the calendar day of an instant. */
export const foldStats = (events: readonly FoldedEvent[], person: string, dayOf: (at: number) => string) => {
  const own = inOrder(events.filter((event) => event.person === person));
  const sessions = foldSessions(own);
  const features = Map.groupBy(
    own.filter((event) => isCounted(event) && !isPageView(event)),
    ({ event }) => event,
  );
  return {
    events: own.filter(isCounted).length,
    pageViews: own.filter(isPageView).length,
    sessions: sessions.length,
    activeDays: new Set(own.map(({ at }) => dayOf(at))).size,
    averageSessionSeconds: mean(sessions.map(secondsOf)),
    favouriteFeatures: [...features]
      .map(([event, done]) => ({ event, count: done.length }))
      .sort((a, b) => b.count - a.count || (a.event < b.event ? -1 : 1))
      .slice(0, 5),
    firstSeenAt: own[0] ? new Date(own[0].at).toISOString() : null,
    lastSeenAt: own.length > 0 ? new Date((own.at(-1) as FoldedEvent).at).toISOString() : null,
  };
};

export const foldSession = (session: FoldedSession) => {
  const pages = session.events.filter(isPageView).flatMap(({ page }) => page ?? []);
  return {
    startedAt: new Date(session.startedAt).toISOString(),
    endedAt: new Date(session.endedAt).toISOString(),
    durationSeconds: secondsOf(session),
    events: session.events.filter(isCounted).length,
    pageViews: session.events.filter(isPageView).length,
    isBounce: isBounce(session),
    entryPage: pages[0] ?? null,
    exitPage: pages.at(-1) ?? null,
    device: session.events.find(({ device, utmCampaign }) => device ?? utmCampaign)?.device ?? null,
    utmCampaign: session.events.find(({ utmCampaign }) => utmCampaign)?.utmCampaign ?? null,
  };
};

/** The latest steps of one person's events. */
export const foldJourney = (own: readonly FoldedEvent[], range: Range, limit: number) => {
  const sessionOf = new Map(foldSessions(own).flatMap((session) => session.events.map((event) => [event, session] as const)));
  const steps: { step: string; count: number; at: string; session: FoldedSession | undefined }[] = [];
  for (const event of inOrder(own).filter((each) => isCounted(each) && within(each.at, range))) {
    const step = isPageView(event) ? (event.page ?? event.event) : event.event;
    const last = steps.at(-1);
    const session = sessionOf.get(event);
    if (last?.step === step && last.session === session) last.count++;
    else steps.push({ step, count: 1, at: new Date(event.at).toISOString(), session });
  }
  return steps.slice(-limit).map(({ step, count, at }) => ({ step, count, at }));
};

export const foldCampaign = (
  events: readonly FoldedEvent[],
  range: Range,
  names: readonly string[],
  conversionEvents: readonly string[],
) => {
  const own = foldSessions(events).filter((session) => {
    const first = session.events.find(({ utmCampaign }) => utmCampaign)?.utmCampaign?.toLowerCase();
    return first !== undefined && names.some((name) => name.toLowerCase() === first) && within(session.startedAt, range);
  });
  return {
    sessions: own.length,
    users: new Set(own.map(({ events: [first] }) => first?.person)).size,
    conversions: own.flatMap((session) => session.events).filter(({ event }) => conversionEvents.includes(event)).length,
    bounceRate: mean(own.map((session) => Number(isBounce(session)))),
    averageSessionSeconds: mean(own.map(secondsOf)),
  };
};
