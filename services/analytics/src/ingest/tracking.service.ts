import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { sessionEnded, sessionStarted, type TrackedEvent } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { type CallContext, Database } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';
import { v7 as uuidv7 } from 'uuid';
import { Freshness } from '../freshness/freshness.service.js';
import { erasedAmong } from '../persons/tombstones.js';
import { decodeSessionId } from '../sessions/session-id.js';
import { SessionReader } from '../sessions/session.reader.js';
import { type SessionType, sessionTypeOf } from '../sessions/session.types.js';
import { identitiesOf } from '../timelines/arrivals.js';
import { type Workspace, WorkspaceStore } from '../workspaces/workspace.store.js';
import { IngestService } from './ingest.service.js';
import { isObject, type Visitor } from './reading/event-context.js';
import { ingestLimits } from './reading/event-limits.js';
import type { ReadEvent } from './reading/read-event.js';
import type { BehaviourInput, StartSessionInput, TrackActionInput, TrackPageViewInput, TrackResult } from './tracking.types.js';

type Person = Pick<TrackedEvent, 'userId' | 'anonymousId'>;

interface Begun extends Person {
  readonly session: SessionType;
}

/** A session's end says nothing of where it came from. */
const noVisitor: Visitor = {};

/** What programs send through the graph: the same way in as over HTTP, one event at a time, for the workspace of the token. */
@Injectable()
export class TrackingService {
  /** Sessions that began here and may not be stored yet. */
  private readonly begun = new LRUCache<string, Begun>({ max: 10_000, ttl: 60_000 });

  constructor(
    private readonly ingest: IngestService,
    private readonly database: Database,
    private readonly sessions: SessionReader,
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
  ) {}

  async trackAction(call: CallContext, visitor: Visitor, input: TrackActionInput): Promise<TrackResult> {
    const { actionId: messageId, actionType: event, resource, ...given } = eventOf(input);
    const properties = withProperties(given.properties, { resource });
    return trackResultOf(await this.accept(call, visitor, 'track', { ...given, messageId, event, properties }));
  }

  async trackPageView(call: CallContext, visitor: Visitor, input: TrackPageViewInput): Promise<TrackResult> {
    const { actionId: messageId, page: path, title, url, referrer, ...given } = eventOf(input);
    const properties = withProperties(given.properties, { path, title, url, referrer });
    return trackResultOf(await this.accept(call, visitor, 'page', { ...given, messageId, properties }));
  }

  /** What of the session follows from its beginning; the rest comes with its events. */
  async startSession(call: CallContext, visitor: Visitor, input: StartSessionInput): Promise<SessionType> {
    const { device, browser, ...given } = eventOf(input);
    const sessionId = given.sessionId ?? uuidv7();
    const context = withProperties(given.context, {
      device: device === undefined || device === null ? undefined : { type: device },
      browser: browser === undefined || browser === null ? undefined : { name: browser },
    });
    const event = { ...given, sessionId, context, messageId: messageIdOf('session-start', sessionId) };
    const { message } = await this.accept(call, visitor, sessionStarted, event);
    const payload = message === 'withheld' ? undefined : (message.envelope.payload as TrackedEvent);
    const session = newSessionOf(sessionId, payload);
    const { userId = given.userId ?? null, anonymousId = given.anonymousId ?? null } = payload ?? {};
    this.begun.set(keyOf(call, sessionId), { session, userId, anonymousId });
    return session;
  }

  /**
   * Throws NOT_FOUND when nothing that the bus had accepted before is of the session, and SERVICE_UNAVAILABLE when what it had is not stored
   * soon enough to say so.
   */
  async endSession(call: CallContext, sessionId: string): Promise<SessionType> {
    const { session, userId, anonymousId } = await this.find(call, sessionId);
    const event = { userId, anonymousId, sessionId, messageId: messageIdOf('session-end', sessionId) };
    const { message } = await this.accept(call, noVisitor, sessionEnded, event);
    const endedAt = message === 'withheld' ? session.endedAt : (message.envelope.payload as TrackedEvent).timestamp;
    if (endedAt <= session.endedAt) return session;
    return { ...session, endedAt, durationSeconds: (Date.parse(endedAt) - Date.parse(session.startedAt)) / 1000 };
  }

  private async find(call: CallContext, sessionId: string): Promise<Begun> {
    const workspace = await this.workspaces.get(call.workspaceId);
    const { number } = workspace;
    const begun = async (): Promise<Begun | undefined> => {
      const known = this.begun.get(keyOf(call, sessionId));
      return known && (await this.isErased(workspace, known)) ? undefined : known;
    };
    // One that follows from inactivity ends by itself; its id is ours and no name of a session.
    const found = decodeSessionId(sessionId)
      ? await begun()
      : await this.freshness.whenStored(number, async () => (await this.stored(number, sessionId)) ?? (await begun()));
    if (!found) throw new DomainError('NOT_FOUND', 'No session of this name is known');
    return found;
  }

  private async stored(workspace: number, sessionId: string): Promise<Begun | undefined> {
    const session = await this.sessions.byId(workspace, sessionId, true);
    if (!session) return undefined;
    const { rows } = await this.database.pool.query<{ id: string; isKnown: boolean }>(
      'select external_id as id, is_known as "isKnown" from person where workspace = $1 and id = $2',
      [workspace, session.person],
    );
    const [person] = rows;
    if (!person) throw new DomainError('NOT_FOUND', 'The person of this session was erased');
    return {
      session: sessionTypeOf(session, null),
      userId: person.isKnown ? person.id : null,
      anonymousId: person.isKnown ? null : person.id,
    };
  }

  /** Its end would say again who it was. */
  private async isErased(workspace: Workspace, { session, userId, anonymousId }: Begun): Promise<boolean> {
    const at = Date.parse(session.startedAt);
    const identities = identitiesOf({ userId, anonymousId });
    return (await erasedAmong(this.database.pool, [{ workspace, identities, at, receivedAt: at }])).size > 0;
  }

  /** Throws what is wrong with the event. */
  private async accept(call: CallContext, visitor: Visitor, type: unknown, event: Record<string, unknown>): Promise<ReadEvent> {
    const { workspaceId, correlationId, traceparent } = call;
    const source = {
      ...{ workspaceId, correlationId, traceparent, visitor, sentAt: undefined },
      budget: `tokens of ${workspaceId}`,
      bytes: ingestLimits.eventBytes,
      taken: 0,
    };
    const { events, errors } = await this.ingest.accept(source, [{ type, event }]);
    const [refused] = errors;
    if (refused) throw new DomainError(refused.code, refused.message);
    return events[0] as ReadEvent;
  }
}

const keyOf = ({ workspaceId }: CallContext, sessionId: string): string => `${workspaceId}:${sessionId}`;

/** The same for the same session, so that a repeat counts once. A session's name may be as long as a messageId. */
const messageIdOf = (what: string, sessionId: string): string => `${what}-${hash('sha256', sessionId, 'base64url')}`;

/** The event that an input is: what it says of the visitor stands in the context. */
const eventOf = <T extends BehaviourInput>({ userAgent, ipAddress, ...given }: T) => ({
  ...given,
  context: withProperties(given.context, { userAgent, ip: ipAddress }),
});

/** Adds what is said; what is no object stays as it is, to be refused with the event. */
const withProperties = (given: unknown, more: Record<string, unknown>): unknown => {
  if (given !== undefined && given !== null && !isObject(given)) return given;
  const said = Object.entries(more).filter(([, value]) => value !== undefined && value !== null);
  return { ...given, ...Object.fromEntries(said) };
};

const trackResultOf = ({ messageId, message }: ReadEvent): TrackResult => ({ accepted: message !== 'withheld', messageId });

const newSessionOf = (id: string, payload: TrackedEvent | undefined): SessionType => {
  const startedAt = new Date(payload?.timestamp ?? Date.now());
  const context = payload?.context ?? {};
  const nothing = { durationSeconds: 0, events: 0, pageViews: 0, isBounce: false, entryPage: null, exitPage: null };
  return {
    ...sessionTypeOf({ id, person: 0, startedAt, endedAt: startedAt, origin: context, arrival: context, ...nothing }, null),
    person: null,
  };
};
