import { requiresKafka } from '@pca/testing';
import { describe } from 'vitest';

export type BusName = 'postgres' | 'kafka';

/** The same specs on each bus; those on Kafka are listed as not run where it cannot be started. */
export const onBothBuses = async (specs: (bus: BusName) => void): Promise<void> => {
  const hasKafka = await requiresKafka();
  for (const bus of ['postgres', 'kafka'] as const) describe.skipIf(bus === 'kafka' && !hasKafka)(`with BUS=${bus}`, () => specs(bus));
};
