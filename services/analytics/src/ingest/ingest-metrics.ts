import { counter } from '@pca/service-kit';

export const ingestEventsTotal = counter(
  'pca_ingest_events_total',
  'Behaviour events that came in, by what became of them: accepted by the bus, refused, or withheld for want of consent',
  ['outcome'],
);
