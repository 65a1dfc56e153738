import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { defineEvent, makeEvent } from '@pca/contracts';
import { z } from 'zod';

const keys = 5_000;

const happened = defineEvent({
  type: 'bench.happened.v1',
  topic: 'bench.events.v1',
  producer: 'bench',
  description: 'Something that only the benchmark tells of.',
  schema: z.object({
    position: z.int().nonnegative(),
    customer: z.string().min(1),
    path: z.string(),
    sentAtMs: z.number(),
  }),
  key: ({ customer }) => customer,
});

/** Milliseconds of a clock that all processes of a machine share, with fractions. */
export const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

const payloadOf = (position) => ({
  position,
  customer: `customer-${(Math.imul(position, 2_654_435_761) >>> 0) % keys}`,
  path: `/shop/articles/${position % 997}/details`,
  sentAtMs: nowMs(),
});

/** The n-th event, 400 bytes of JSON, made as cheaply as can be: what is measured is the way of an event and not its making. */
export const plainMessage = (topic, position) => {
  const payload = payloadOf(position);
  const now = new Date().toISOString();
  // Grows with time and ends at random, as a real UUIDv7, at a tenth of its price.
  const id = `${(0x019a0000 + (position >>> 4)).toString(16).padStart(8, '0')}-0000-7${randomUUID().slice(15)}`;
  const envelope = {
    id,
    type: happened.type,
    version: happened.version,
    workspaceId: 'demo',
    occurredAt: now,
    receivedAt: now,
    producer: happened.producer,
    correlationId: id,
    causationId: null,
    traceparent: null,
    payload,
  };
  return { topic, key: payload.customer, envelope };
};

/** The n-th event as a service makes it, checked against its contract. */
export const checkedMessage = (topic, position) => {
  const message = makeEvent(happened, payloadOf(position), { workspaceId: 'demo', correlationId: randomUUID() });
  return { ...message, topic };
};
