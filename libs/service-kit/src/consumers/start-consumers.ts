import { endedGenerations } from '@pca/outbox';
import type { Database } from '../database/database.js';
import type { ConsumerDefinition } from './consumer.js';
import { type ConsumerHost, GroupMember } from './group-member.js';

/** How soon a group with nothing to handle notices that it has begun a replay. */
const lookMs = 1_000;

export interface RunningConsumers {
  /** Begins nothing new until it is resumed; a consumer keeps this over replays and over an absence of the bus. */
  pause(group: string): void;
  resume(group: string): void;
  /** Each call to a handler begins so many milliseconds later; 0 ends it. */
  delay(group: string, ms: number): void;
  /** Groups that are not members on the bus now. */
  absent(): readonly string[];
  /** Waits for the calls under way. */
  close(): Promise<void>;
}

/** Consumes until it is closed, whatever is away in the meantime. */
export const startConsumers = (host: ConsumerHost, definitions: readonly ConsumerDefinition[]): RunningConsumers => {
  const members = new Map(definitions.map((definition) => [definition.group, new GroupMember(host, definition)]));
  if (members.size !== definitions.length) throw new Error('Two consumers of a service have the same group');
  const memberOf = (group: string): GroupMember => {
    const member = members.get(group);
    if (!member) throw new Error(`There is no group ${group}`);
    return member;
  };
  const look = (): void => {
    void endOldGenerations(host.database, [...members.values()]);
    for (const member of members.values()) void member.endReplay();
  };
  const timer = setInterval(look, lookMs);
  return {
    pause: (group) => memberOf(group).set({ paused: true }),
    resume: (group) => memberOf(group).set({ paused: false }),
    delay: (group, ms) => memberOf(group).set({ delayMs: ms }),
    absent: () => [...members].flatMap(([group, member]) => (member.isPresent ? [] : [group])),
    close: async () => {
      clearInterval(timer);
      await Promise.all([...members.values()].map((member) => member.close()));
    },
  };
};

const endOldGenerations = async (database: Database, members: readonly GroupMember[]): Promise<void> => {
  const groups = members.flatMap(({ current }) => (current ? [current] : []));
  if (groups.length === 0) return;
  // While the database is away nobody begins a replay.
  const ended = await endedGenerations(database.pool, groups).catch(() => new Set<number>());
  for (const member of members) if (member.current && ended.has(member.current.id)) member.endGeneration();
};
