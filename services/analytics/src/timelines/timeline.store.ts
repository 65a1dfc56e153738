import { Injectable } from '@nestjs/common';
import { eventTracked, type TrackedEvent } from '@pca/contracts';
import type { Outcome } from '@pca/event-bus';
import { type ConsumedEvent, counter, type Transaction } from '@pca/service-kit';
import type { PoolClient } from 'pg';
import { type Identity, PersonStore, type PersonTerm } from '../persons/person.store.js';
import { SessionStore, type SessionTerm } from '../persons/session.store.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { type Arrival, keepLiving, Outcomes, readArrivals } from './arrivals.js';
import { codeTexts, type TextCodes } from './code-texts.js';
import { Terms, textKinds } from './dictionary.js';
import { Dictionary } from './dictionary.store.js';
import { copyRows, type EventRow } from './rows/event-rows.js';
import { Partitions } from './rows/partitions.store.js';
import { dayMs, messageDigest, rememberMessages } from './rows/seen-messages.js';
import { storable } from './stored-text.js';
import { messageBytes, packEvent, type PackedEvent } from './timeline-event.js';

const events = counter('pca_timeline_events_total', 'Behaviour events that came to the timelines', ['result']);

/** Most bytes of an event's properties: what is over it was never taken by our own ingest. */
const propertiesBytesMax = 65_536;

const checkViolation = '23514';

interface Read extends Arrival<TrackedEvent> {
  readonly packed: PackedEvent;
  /** The event's name. */
  readonly text: string;
  /** By our own ingest, which found room for the name. */
  readonly isAdmitted: boolean;
}

interface Item extends Read {
  /** Code of the event's name. */
  readonly name: number;
}

/** The timelines: every event once, under the person and the session that it came with. */
@Injectable()
export class TimelineStore {
  constructor(
    private readonly workspaces: WorkspaceStore,
    private readonly dictionary: Dictionary,
    private readonly persons: PersonStore,
    private readonly sessions: SessionStore,
    private readonly partitions: Partitions,
  ) {}

  /**
   * Appends events in the caller's transaction. One whose (workspace, messageId) was stored within 30 days is not stored again; one of
   * somebody who was erased since is dropped; one that can never be stored is answered as dead-lettered, and leaves nothing behind.
   */
  async append(transaction: Transaction, batch: readonly ConsumedEvent<TrackedEvent>[], now = new Date()): Promise<readonly Outcome[]> {
    const client = (await transaction.queryRunner?.connect()) as PoolClient;
    const outcomes = new Outcomes(batch.length);
    const arrivals = await this.read(batch, outcomes, now);
    const { living, erased, erasures, textsFreed } = await keepLiving(client, arrivals);
    if (erased.size > 0) await sweepTextsOf(client, erased);
    const items = await this.nameEvents(living, textsFreed, outcomes);
    const fresh = await freshOf(client, items, now);
    await this.write(client, fresh, erasures, textsFreed);
    events.inc({ result: 'dead-lettered' }, batch.length - erased.size - items.length);
    events.inc({ result: 'erased' }, erased.size);
    events.inc({ result: 'repeated' }, items.length - fresh.length);
    events.inc({ result: 'stored' }, fresh.length);
    return outcomes.all;
  }

  /** What is refused is so before anything is written. */
  private async read(batch: readonly ConsumedEvent<TrackedEvent>[], outcomes: Outcomes, now: Date): Promise<readonly Read[]> {
    const read: Read[] = [];
    for (const arrival of await readArrivals(this.workspaces, batch, outcomes, now)) {
      const { payload, place } = arrival;
      const isAdmitted = batch[place]?.envelope.producer === eventTracked.producer;
      const item = { ...arrival, packed: packEvent(payload), text: storable(payload.event), isAdmitted };
      if (Buffer.byteLength(item.packed.properties) > propertiesBytesMax)
        outcomes.refuse(place, `The properties take more than ${propertiesBytesMax} bytes`);
      else read.push(item);
    }
    return read;
  }

  /** Under the lock, like all codes that are stored: from before it, one may have been freed. */
  private async nameEvents(read: readonly Read[], textsFreed: ReadonlyMap<number, number>, outcomes: Outcomes): Promise<readonly Item[]> {
    const [admitted, others] = [new Terms(), new Terms()];
    for (const { workspace, text, isAdmitted } of read) (isAdmitted ? admitted : others).add(workspace.number, 'name', text);
    const codesOfAdmitted = await this.dictionary.codes(admitted, textsFreed, true);
    const codesOfOthers = await this.dictionary.codes(others, textsFreed);
    const items: Item[] = [];
    for (const item of read) {
      const name = (item.isAdmitted ? codesOfAdmitted : codesOfOthers).of(item.workspace.number, 'name', item.text);
      if (name === undefined) outcomes.refuse(item.place, `The workspace has ${textKinds.name.max} event names already`);
      else items.push({ ...item, name });
    }
    return items;
  }

  private async write(
    client: PoolClient,
    items: readonly Item[],
    erasures: ReadonlyMap<number, number>,
    textsFreed: ReadonlyMap<number, number>,
  ): Promise<void> {
    if (items.length === 0) return;
    const texts = await codeTexts(this.dictionary, items, textsFreed);
    const states = new Map([...erasures].map(([number, count]) => [number, { number, erasures: count }]));
    const owners = items.map(({ workspace: { number }, identities: [identity] }): PersonTerm => {
      const { isKnown, id } = identity as Identity;
      return { workspace: states.get(number) ?? { number, erasures: 0 }, isKnown, id };
    });
    const persons = await this.persons.numbers(owners);
    const visits = items.map(({ payload: { sessionId } }, i): SessionTerm => {
      const { workspace } = owners[i] as PersonTerm;
      return { workspace, name: sessionId === null ? '' : storable(sessionId), person: persons[i] as number };
    });
    const sessions = await this.sessions.numbers(visits);
    const rows = items.map((item, i): EventRow => {
      const { page, resource, context, shape, properties } = texts[i] as TextCodes;
      return {
        at: item.at,
        receivedAt: item.receivedAt,
        workspace: item.workspace.number,
        person: persons[i] as number,
        session: sessions[i] as number,
        name: item.name,
        page,
        resource,
        context,
        shape,
        isBot: item.payload.isBot,
        message: messageBytes(item.payload.messageId),
        properties,
      };
    });
    await this.copy(client, rows.sort(byTime));
  }

  private async copy(client: PoolClient, rows: readonly EventRow[]): Promise<void> {
    await this.partitions.ensure(new Set(rows.map(({ at }) => Math.floor(at / dayMs))));
    try {
      await copyRows(client, rows);
    } catch (error) {
      // Somebody has dropped a partition, which the next attempt makes again.
      if ((error as { code?: unknown }).code === checkViolation) this.partitions.forget();
      throw error;
    }
  }
}

/** What stays out was named when it was accepted, and such a name may be somebody's. In one order, so that nobody waits in a circle. */
const sweepTextsOf = async (client: PoolClient, erased: Iterable<Read>): Promise<void> => {
  await client.query(
    `update workspace set texts_due = texts_due + 1
     where number in (select number from workspace where number = any ($1::int[]) order by number for update)`,
    [[...new Set([...erased].map(({ workspace }) => workspace.number))]],
  );
};

/** Those that were not stored before; of equal ones the first. */
const freshOf = async (client: PoolClient, items: readonly Item[], now: Date): Promise<readonly Item[]> => {
  const byDigest = new Map<bigint, Item>();
  for (const item of items) {
    const digest = messageDigest(item.workspace.number, item.payload.messageId);
    if (!byDigest.has(digest)) byDigest.set(digest, item);
  }
  if (byDigest.size === 0) return [];
  for (const digest of await rememberMessages(client, [...byDigest.keys()], now)) byDigest.delete(digest);
  return [...byDigest.values()];
};

const byTime = (a: EventRow, b: EventRow): number => a.at - b.at || a.receivedAt - b.receivedAt || Buffer.compare(a.message, b.message);
