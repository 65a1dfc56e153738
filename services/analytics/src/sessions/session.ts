import type { BehaviourContext } from '@pca/contracts';
import { encodeSessionId } from './session-id.js';

/** A session, or one person's part of it. */
export interface Session {
  /** The client's name for it; opaque where it follows from inactivity. */
  readonly id: string;
  /** Row of the canonical person who began it. */
  readonly person: number;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly durationSeconds: number;
  readonly events: number;
  readonly pageViews: number;
  readonly isBounce: boolean;
  readonly entryPage: string | null;
  readonly exitPage: string | null;
  /** Where its first event came from. */
  readonly origin: BehaviourContext;
  /** Where its first event that names a campaign came from; the first event's else. */
  readonly arrival: BehaviourContext;
}

/** As the statement of the reader gives it. */
export interface SessionRow {
  person: number;
  name: string | null;
  started_at: Date;
  ended_at: Date;
  seconds: number;
  events: number;
  page_views: number;
  entry_page: string | null;
  exit_page: string | null;
  origin: string | null;
  arrival: string | null;
}

export const sessionOfRow = (row: SessionRow): Session => {
  const origin = contextOf(row.origin);
  return {
    id: row.name ?? encodeSessionId({ person: row.person, atMs: row.started_at.getTime() }),
    person: row.person,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    durationSeconds: row.seconds,
    events: row.events,
    pageViews: row.page_views,
    isBounce: row.page_views === 1 && row.events === 1,
    entryPage: row.entry_page,
    exitPage: row.exit_page,
    origin,
    arrival: row.arrival === null ? origin : contextOf(row.arrival),
  };
};

const contextOf = (text: string | null): BehaviourContext => (text === null ? {} : (JSON.parse(text) as BehaviourContext));
