import { simulateDelivery } from '../engine/simulate-delivery.js';
import type { PlainConfig } from '../harness/bus-harness.js';
import { randomFrom } from '../random.js';
import { acknowledged, neverEarly } from '../scenarios/acknowledged.js';
import { callsInOrder, callsKept } from '../scenarios/calls-in-order.js';
import { buriedInTime, deadly } from '../scenarios/deadly.js';
import { keptAsLong, keptForGroups } from '../scenarios/kept-for-groups.js';
import { inOrder, orderedWriters } from '../scenarios/ordered-writers.js';
import { plainStage } from '../scenarios/plain-stage.js';
import { keptBehind, underWay } from '../scenarios/under-way.js';
import type { Mutant } from './mutants.js';

/** What this process is told, as the JSON of its only argument. */
export interface Play {
  readonly scenario: Mutant['scenario'];
  readonly config: PlainConfig | undefined;
  readonly seed: number;
  /** What lets the processes of the scenario run. */
  readonly loader: string | undefined;
}

const { scenario, config, seed, loader } = JSON.parse(process.argv[2] ?? '') as Play;
const random = randomFrom(undefined, seed);
const stage = plainStage(config ?? { bus: 'postgres', url: 'postgres://nowhere' }, loader);

/** Simulations until one finds something. */
const simulation = async (): Promise<{ faults: readonly string[] }> => {
  let faults: readonly string[] = [];
  for (let round = 0; round < 20 && faults.length === 0; round += 1) {
    const reports = await Promise.all(
      Array.from({ length: 30 }, () => simulateDelivery(randomFrom(undefined, 1 + random.below(2 ** 31 - 2)))),
    );
    faults = reports.flatMap((report) => report.faults).slice(0, 2);
  }
  return { faults };
};

const scenarios: Record<Mutant['scenario'], { play: () => Promise<object>; good: object }> = {
  simulation: { play: simulation, good: { faults: [] } },
  underWay: { play: () => underWay(stage), good: keptBehind },
  orderedWriters: { play: () => orderedWriters(stage, random, 15), good: inOrder },
  callsInOrder: { play: () => callsInOrder(stage), good: callsKept },
  acknowledged: { play: () => acknowledged(stage), good: neverEarly },
  keptForGroups: { play: () => keptForGroups(stage), good: keptAsLong },
  deadly: { play: () => deadly(stage), good: buriedInTime },
};

// A scenario on a mutant may leave behind what never ends.
const { play, good } = scenarios[scenario];
const report = await play();
process.stdout.write(`${JSON.stringify({ report, good })}\n`, () => process.exit(0));
