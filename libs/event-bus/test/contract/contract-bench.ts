import type { BusMessage } from '@pca/contracts';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Bus, BusHarness } from '../harness/bus-harness.js';
import { messageOf } from '../messages.js';
import { readAll } from '../read-all.js';

/** What the tests of a suite share: a harness, and names that no other test has. */
export interface ContractBench<H extends BusHarness> {
  readonly harness: H;
  readonly bus: Bus;
  /** A new topic of so many partitions. */
  topic(partitions?: number): Promise<string>;
  group(): string;
  /** The payloads of the dead letters of a topic. */
  lettersOf(topic: string): Promise<Record<string, unknown>[]>;
}

/** To be called in a `describe`; what it answers works within its tests. */
export const contractBench = <H extends BusHarness>(start: () => Promise<H>): ContractBench<H> => {
  let harness: H;
  let bus: Bus;
  beforeAll(async () => {
    harness = await start();
    bus = await harness.connect();
  });
  afterAll(() => harness?.close());
  return {
    get harness() {
      return harness;
    },
    get bus() {
      return bus;
    },
    topic: async (partitions = 1) => {
      const name = `contract.${uuidv7()}`;
      const maker = await harness.connect({ topics: { [name]: { partitions } } });
      await maker.close();
      return name;
    },
    group: () => `group-${uuidv7()}`,
    lettersOf: async (topic) =>
      (await readAll(bus, `${topic}.dead-letters`)).flat().map(({ envelope }) => envelope.payload as Record<string, unknown>),
  };
};

/** Waits for a value, for as long as a test may take: nothing here is measured in time. */
export const eventually = <T>(ask: () => T, message?: string) =>
  expect.poll(ask, { interval: 25, ...(message !== undefined && { message }) });

/** So many messages, numbered from 1, with the keys by turns. */
export const numbered = (topic: string, count: number, keys: readonly string[] = ['key'], from = 1): BusMessage[] =>
  Array.from({ length: count }, (_, i) => messageOf(topic, keys[i % keys.length]!, from + i));

export const upTo = (count: number, from = 1): number[] => Array.from({ length: count }, (_, i) => from + i);
export const sorted = (values: readonly number[]): number[] => values.toSorted((one, other) => one - other);
