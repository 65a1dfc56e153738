import { eventTracked, sessionEnded, sessionStarted, userIdentified } from '@pca/contracts';
import { type ConsumerDefinition, on } from '@pca/service-kit';
import type { IdentityStore } from '../persons/identity.store.js';
import type { TimelineStore } from './timeline.store.js';

/** Appends what happened to the timelines, and finds out who is who. `poolMax`: connections of the database's pool, at least two. */
export const trackedEventConsumer = (timelines: TimelineStore, identities: IdentityStore, poolMax: number): ConsumerDefinition => ({
  group: 'analytics.timelines',
  batchSize: 1_000,
  // A batch has its price, however small: a third of the commits when people come one by one, and nobody asks for events so fresh.
  lingerMs: 200,
  // The other half is for those who ask.
  concurrency: Math.min(4, Math.floor(poolMax / 2)),
  // The timelines deduplicate by messageId, for longer than the bus keeps anything.
  inbox: false,
  on: [
    ...[eventTracked, sessionStarted, sessionEnded].map((event) =>
      on(event, (events, { transaction }) => timelines.append(transaction, events)),
    ),
    on(userIdentified, (events, { transaction }) => identities.identify(transaction, events)),
  ],
  // A replay finds everything stored and adds what is missing: there is nothing to empty.
  reset: () => Promise.resolve(),
});
