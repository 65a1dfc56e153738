import { eventTracked, sessionEnded, sessionStarted, userIdentified } from '@pca/contracts';
import { type ConsumerDefinition, on } from '@pca/service-kit';
import type { IdentityStore } from '../persons/identity.store.js';
import type { TimelineStore } from './timeline.store.js';

/** Appends what happened to the timelines, and finds out who is who. */
export const trackedEventConsumer = (timelines: TimelineStore, identities: IdentityStore): ConsumerDefinition => ({
  group: 'analytics.timelines',
  batchSize: 1_000,
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
