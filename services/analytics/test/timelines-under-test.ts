import { eventTracked, type IdentifiedUser, makeEvent, type TrackedEvent, userIdentified } from '@pca/contracts';
import type { Outcome } from '@pca/event-bus';
import type { ConsumedEvent, Database } from '@pca/service-kit';
import { v7 as uuidv7 } from 'uuid';
import { testPostgres } from '@pca/testing';
import { openDatabase } from '../src/data-source.js';
import { IdentityStore } from '../src/persons/identity.store.js';
import { PersonStore } from '../src/persons/person.store.js';
import { SessionStore } from '../src/persons/session.store.js';
import { Dictionary } from '../src/timelines/dictionary.store.js';
import { Partitions } from '../src/timelines/rows/partitions.store.js';
import { TimelineStore } from '../src/timelines/timeline.store.js';
import { messageIdOf } from '../src/timelines/timeline-event.js';
import { WorkspaceStore } from '../src/workspaces/workspace.store.js';

/** The stores of one process. */
export interface Stores {
  readonly database: Database;
  readonly workspaces: WorkspaceStore;
  readonly dictionary: Dictionary;
  readonly persons: PersonStore;
  readonly timelines: TimelineStore;
  readonly identities: IdentityStore;
  append(events: readonly ConsumedEvent<TrackedEvent>[]): Promise<readonly Outcome[]>;
  identify(events: readonly ConsumedEvent<IdentifiedUser>[]): Promise<readonly Outcome[]>;
}

export interface TimelinesUnderTest {
  readonly url: string;
  /** As many times as there are processes; the first has migrated. */
  open(): Promise<Stores>;
  stop(): Promise<void>;
}

export const startTimelines = async (): Promise<TimelinesUnderTest> => {
  const postgres = await testPostgres();
  const { url } = await postgres.createDatabase();
  const opened: Database[] = [];
  return {
    url,
    open: async () => {
      const database = openDatabase({ DATABASE_URL: url, DATABASE_POOL_MAX: 10, DATABASE_STATEMENT_MS_MAX: 30_000 });
      opened.push(database);
      await database.start(() => undefined);
      return storesOn(database);
    },
    stop: async () => {
      await Promise.all(opened.map((database) => database.stop()));
      await postgres.stop();
    },
  };
};

export const storesOn = (database: Database): Stores => {
  const workspaces = new WorkspaceStore(database);
  const dictionary = new Dictionary(database);
  const persons = new PersonStore(database);
  const timelines = new TimelineStore(workspaces, dictionary, persons, new SessionStore(database), new Partitions(database));
  const identities = new IdentityStore(workspaces, persons);
  return {
    ...{ database, workspaces, dictionary, persons, timelines, identities },
    identify: (events) => database.transaction((transaction) => identities.identify(transaction, events)),
    append: (events) => database.transaction((transaction) => timelines.append(transaction, events)),
  };
};

/** Something that somebody did now, but for what is said. */
export const trackedEvent = (event: Partial<TrackedEvent> = {}): TrackedEvent => ({
  messageId: uuidv7(),
  timestamp: new Date().toISOString(),
  userId: 'ada',
  anonymousId: null,
  event: 'product viewed',
  sessionId: null,
  page: '/shoes',
  resource: null,
  properties: { sku: 'S-1', price: 19.99 },
  context: { device: 'desktop', browser: 'Firefox', os: 'Linux' },
  isBot: false,
  ...event,
});

/** As the consumer hands it over. `producer`: whoever published it; our own ingest, where nobody is named. */
export const tracked = (
  event: Partial<TrackedEvent> = {},
  workspaceId = 'demo',
  receivedAt?: Date,
  producer?: string,
): ConsumedEvent<TrackedEvent> => {
  const message = makeEvent(eventTracked, trackedEvent(event), { workspaceId, correlationId: 'test', ...(producer && { producer }) });
  const envelope = { ...message.envelope, ...(receivedAt && { receivedAt: receivedAt.toISOString() }) };
  return { ...message, envelope, partition: 0, offset: 0, attempt: 1 } as ConsumedEvent<TrackedEvent>;
};

export const identified = (event: Partial<IdentifiedUser>, workspaceId = 'demo', receivedAt?: Date): ConsumedEvent<IdentifiedUser> => {
  const payload = {
    messageId: uuidv7(),
    timestamp: new Date().toISOString(),
    ...{ userId: null, anonymousId: null, previousId: null, traits: {}, ...event },
  };
  const message = makeEvent(userIdentified, payload, { workspaceId, correlationId: 'test' });
  const envelope = { ...message.envelope, ...(receivedAt && { receivedAt: receivedAt.toISOString() }) };
  return { ...message, envelope, partition: 0, offset: 0, attempt: 1 } as ConsumedEvent<IdentifiedUser>;
};

/** What is stored, in the order of timelines, with the texts in place of their codes. */
export const storedEvents = async ({ database }: Stores, workspaceId = 'demo') => {
  const text = (kind: number, column: string): string =>
    `(select text from dictionary d where d.workspace = e.workspace and d.kind = ${kind} and d.code = e.${column})`;
  const { rows } = await database.pool.query<StoredRow>(
    `select at, message, p.external_id as person, p.is_known as "isKnown", (select s.name from session s where s.id = e.session) as session,
       ${text(1, 'name')} as event, ${text(2, 'page')} as page, ${text(3, 'resource')} as resource, ${text(4, 'context')} as context,
       ${text(5, 'shape')} as shape, is_bot as "isBot", properties
     from event e join person p on p.id = e.person join workspace w on w.number = e.workspace
     where w.id = $1 order by at, received_at, message`,
    [workspaceId],
  );
  return rows.map(({ message, context, shape, properties, ...row }) => {
    const keys = shape === null ? undefined : (JSON.parse(shape) as string[]);
    const values = JSON.parse(properties) as Record<string, unknown> & unknown[];
    return {
      ...row,
      messageId: messageIdOf(message),
      context: context === null ? null : (JSON.parse(context) as Record<string, unknown>),
      properties: keys ? Object.fromEntries(keys.map((key, i) => [key, values[i]])) : (values as Record<string, unknown>),
    };
  });
};

interface StoredRow {
  at: Date;
  message: Buffer;
  person: string;
  isKnown: boolean;
  session: string | null;
  event: string;
  page: string | null;
  resource: string | null;
  context: string | null;
  shape: string | null;
  isBot: boolean;
  properties: string;
}
