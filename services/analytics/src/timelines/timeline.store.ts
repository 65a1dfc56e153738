import { Injectable } from '@nestjs/common';
import type { TrackedEvent } from '@pca/contracts';
import { deadLettered, handled, type Outcome } from '@pca/event-bus';
import { type ConsumedEvent, counter, type Transaction } from '@pca/service-kit';
import type { PoolClient } from 'pg';
import { type Identity, personKey, PersonStore, type PersonTerm } from '../persons/person.store.js';
import { erasedAmong, type Sighting } from '../persons/tombstones.js';
import { sessionKey, SessionStore } from '../persons/session.store.js';
import { type Workspace, WorkspaceStore } from '../workspaces/workspace.store.js';
import { isAcceptedTime } from './accepted-time.js';
import { codeTexts, type TextCodes } from './code-texts.js';
import { Dictionary, textKinds } from './dictionary.js';
import { copyRows, type EventRow } from './rows/event-rows.js';
import { Partitions } from './rows/partitions.js';
import { dayMs, messageDigest, rememberMessages } from './rows/seen-messages.js';
import { depthMax, isDeeperThan, storable } from './stored-text.js';
import { messageBytes, packEvent, type PackedEvent } from './timeline-event.js';
import { lockWorkspacesShared } from './workspace-lock.js';

const events = counter('pca_timeline_events_total', 'Behaviour events that came to the timelines', ['result']);

/** Most bytes of an event's properties: what is over it was never taken by our own ingest. */
const propertiesBytesMax = 65_536;

/** An event on its way into the timelines. */
interface Read extends Sighting {
  /** Among the events of the batch. */
  readonly place: number;
  readonly event: TrackedEvent;
  readonly name: string;
  readonly packed: PackedEvent;
}

interface Item extends Read {
  readonly nameCode: number;
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
    const outcomes: Outcome[] = batch.map(() => handled);
    const refuse = (place: number, reason: string): void => void (outcomes[place] = deadLettered(reason));
    const read = await this.read(batch, now, refuse);
    const names = await this.dictionary.codes(
      read.map(({ workspace, name }) => ({ workspace: workspace.number, kind: 'name', text: name })),
    );
    const named = read.flatMap((item) => {
      const nameCode = names.of(item.workspace.number, 'name', item.name);
      if (nameCode !== undefined) return [{ ...item, nameCode }];
      refuse(item.place, `The workspace has ${textKinds.name.max} event names already`);
      return [];
    });
    const erasures = await lockWorkspacesShared(
      client,
      named.map(({ workspace }) => workspace.number),
    );
    const fresh = await this.freshOf(client, named, now);
    const mayBeErased = fresh.filter(({ workspace }) => (erasures.get(workspace.number) ?? 0) > 0);
    const erased = mayBeErased.length === 0 ? new Set<Item>() : await erasedAmong(client, mayBeErased);
    const stored = erased.size === 0 ? fresh : fresh.filter((item) => !erased.has(item));
    await this.write(client, stored, erasures);
    events.inc({ result: 'dead-lettered' }, batch.length - named.length);
    events.inc({ result: 'repeated' }, named.length - fresh.length);
    events.inc({ result: 'erased' }, erased.size);
    events.inc({ result: 'stored' }, stored.length);
    return outcomes;
  }

  private async read(
    batch: readonly ConsumedEvent<TrackedEvent>[],
    now: Date,
    refuse: (place: number, reason: string) => void,
  ): Promise<readonly Read[]> {
    const ids = [...new Set(batch.map(({ envelope }) => envelope.workspaceId))];
    const workspaces = new Map(await Promise.all(ids.map(async (id) => [id, await this.workspaces.get(id)] as const)));
    return batch.flatMap(({ envelope }, place) => {
      const event = envelope.payload;
      const workspace = workspaces.get(envelope.workspaceId) as Workspace;
      const at = Date.parse(event.timestamp);
      const fault = faultOf(event, at, workspace, now);
      if (fault !== undefined) {
        refuse(place, fault);
        return [];
      }
      const packed = packEvent(event);
      if (Buffer.byteLength(packed.properties) > propertiesBytesMax) {
        refuse(place, `The properties take more than ${propertiesBytesMax} bytes`);
        return [];
      }
      const receivedAt = Date.parse(envelope.receivedAt);
      return [{ place, event, workspace, at, receivedAt, identities: identitiesOf(event), name: storable(event.event), packed }];
    });
  }

  /** Those that were not stored before; of equal ones the first. */
  private async freshOf(client: PoolClient, items: readonly Item[], now: Date): Promise<readonly Item[]> {
    const byDigest = new Map<bigint, Item>();
    for (const item of items) {
      const digest = messageDigest(item.workspace.number, item.event.messageId);
      if (!byDigest.has(digest)) byDigest.set(digest, item);
    }
    if (byDigest.size === 0) return [];
    for (const digest of await rememberMessages(client, [...byDigest.keys()], now)) byDigest.delete(digest);
    return [...byDigest.values()];
  }

  private async write(client: PoolClient, items: readonly Item[], erasures: ReadonlyMap<number, number>): Promise<void> {
    if (items.length === 0) return;
    const texts = await codeTexts(this.dictionary, items);
    const owners = items.map(({ workspace: { number }, identities }) => {
      const { isKnown, id } = identities[0] as Identity;
      return { workspace: { number, erasures: erasures.get(number) ?? 0 }, isKnown, id: storable(id) };
    });
    const persons = await this.persons.numbers(owners);
    const personOf = (owner: PersonTerm): number => persons.get(personKey(owner)) as number;
    const visits = items.map(({ event: { sessionId } }, i) => {
      const owner = owners[i] as PersonTerm;
      return sessionId === null ? undefined : { workspace: owner.workspace, name: storable(sessionId), person: personOf(owner) };
    });
    const sessions = await this.sessions.numbers(visits.filter((visit) => visit !== undefined));
    const rows = items.map((item, i): EventRow => {
      const visit = visits[i];
      return {
        ...(texts[i] as TextCodes),
        at: item.at,
        receivedAt: item.receivedAt,
        workspace: item.workspace.number,
        person: personOf(owners[i] as PersonTerm),
        session: visit ? (sessions.get(sessionKey(visit)) as number) : 0,
        name: item.nameCode,
        isBot: item.event.isBot,
        message: messageBytes(item.event.messageId),
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

const checkViolation = '23514';

const faultOf = (event: TrackedEvent, at: number, { retentionDays }: Workspace, now: Date): string | undefined => {
  if (!isAcceptedTime(at, retentionDays, now.getTime()))
    return `The timestamp ${event.timestamp} is over ${retentionDays} days old, or over a day ahead`;
  return isDeeperThan(depthMax, event.properties) ? `The properties nest deeper than ${depthMax} levels` : undefined;
};

/** Whoever it was first: the user where they are known. */
const identitiesOf = ({ userId, anonymousId }: TrackedEvent): readonly Identity[] => [
  ...(userId === null ? [] : [{ isKnown: true, id: userId }]),
  ...(anonymousId === null ? [] : [{ isKnown: false, id: anonymousId }]),
];

const byTime = (a: EventRow, b: EventRow): number => a.at - b.at || a.receivedAt - b.receivedAt || Buffer.compare(a.message, b.message);
