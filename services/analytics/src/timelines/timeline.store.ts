import { Injectable } from '@nestjs/common';
import type { TrackedEvent } from '@pca/contracts';
import type { Outcome } from '@pca/event-bus';
import { type ConsumedEvent, counter, type Transaction } from '@pca/service-kit';
import type { PoolClient } from 'pg';
import { type Identity, personKey, PersonStore, type PersonTerm } from '../persons/person.store.js';
import { sessionKey, SessionStore, type SessionTerm } from '../persons/session.store.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { type Arrival, keepLiving, Outcomes, readArrivals } from './arrivals.js';
import { codeTexts, type TextCodes } from './code-texts.js';
import { textKinds } from './dictionary.js';
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

interface Item extends Arrival<TrackedEvent> {
  readonly packed: PackedEvent;
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
    const items = await this.read(batch, outcomes, now);
    const { living, erasures } = await keepLiving(client, items);
    const fresh = await freshOf(client, living, now);
    await this.write(client, fresh, erasures);
    events.inc({ result: 'dead-lettered' }, batch.length - items.length);
    events.inc({ result: 'erased' }, items.length - living.length);
    events.inc({ result: 'repeated' }, living.length - fresh.length);
    events.inc({ result: 'stored' }, fresh.length);
    return outcomes.all;
  }

  /** What is refused is so before anything is written. */
  private async read(batch: readonly ConsumedEvent<TrackedEvent>[], outcomes: Outcomes, now: Date): Promise<readonly Item[]> {
    const packed = (await readArrivals(this.workspaces, batch, outcomes, now)).flatMap((arrival) => {
      const item = { ...arrival, packed: packEvent(arrival.payload), text: storable(arrival.payload.event) };
      if (Buffer.byteLength(item.packed.properties) <= propertiesBytesMax) return [item];
      outcomes.refuse(arrival.place, `The properties take more than ${propertiesBytesMax} bytes`);
      return [];
    });
    const names = await this.dictionary.codes(packed.map(({ workspace, text }) => ({ workspace: workspace.number, kind: 'name', text })));
    return packed.flatMap((item) => {
      const name = names.of(item.workspace.number, 'name', item.text);
      if (name !== undefined) return [{ ...item, name }];
      outcomes.refuse(item.place, `The workspace has ${textKinds.name.max} event names already`);
      return [];
    });
  }

  private async write(client: PoolClient, items: readonly Item[], erasures: ReadonlyMap<number, number>): Promise<void> {
    if (items.length === 0) return;
    const texts = await codeTexts(this.dictionary, items);
    const owners = items.map(({ workspace: { number }, identities }): PersonTerm => {
      return { ...(identities[0] as Identity), workspace: { number, erasures: erasures.get(number) ?? 0 } };
    });
    const persons = await this.persons.numbers(owners);
    const visits = items.map(({ payload: { sessionId } }, i) => {
      const owner = owners[i] as PersonTerm;
      const person = persons.get(personKey(owner)) as number;
      return { workspace: owner.workspace, name: sessionId === null ? '' : storable(sessionId), person };
    });
    const sessions = await this.sessions.numbers(visits.filter(({ name }) => name !== ''));
    const rows = items.map((item, i): EventRow => {
      const visit = visits[i] as SessionTerm;
      return {
        ...(texts[i] as TextCodes),
        at: item.at,
        receivedAt: item.receivedAt,
        workspace: item.workspace.number,
        person: visit.person,
        session: sessions.get(sessionKey(visit)) ?? 0,
        name: item.name,
        isBot: item.payload.isBot,
        message: messageBytes(item.payload.messageId),
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
