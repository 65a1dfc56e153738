// Our own bus over either of its adapters, as a service uses it.
import { parseEvent } from '@pca/contracts';
import { PostgresEventBus } from '@pca/event-bus';

const connect = ({ url }) => PostgresEventBus.connect({ url });

export const prepare = async (place) => {
  const bus = await connect(place);
  await bus.close();
};

export const openWriter = async (place) => {
  const bus = await connect(place);
  return { write: (messages) => bus.publish(messages), close: () => bus.close() };
};

export const openConsumer = async (place, handle) => {
  const { topic, group, checked } = place;
  const bus = await connect(place);
  await bus.subscribe({
    group,
    topics: [topic],
    handle: async (messages) => handle(messages.map(({ envelope }) => (checked ? parseEvent(envelope) : envelope))),
  });
  return {
    isCommitted: async () => (await bus.lag(group)).every(({ lag }) => lag === 0),
    close: () => bus.close(),
  };
};
