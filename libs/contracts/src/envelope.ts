import { z } from 'zod';

const instant = z.iso.datetime({ offset: true });

/** The id of a workspace: chosen by whoever creates it, safe in URLs, logs and file names. */
export const workspaceIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'A workspace id is 1 to 64 letters, digits, "-" or "_"');

/** What every event carries on the bus; `payload` is checked by the event's own definition. */
export const envelopeSchema = z.object({
  id: z.uuid().describe('UUIDv7 of this event; a repeat of the same event has the same id'),
  type: z.string().describe('Name and major version, for example campaign.created.v1'),
  version: z.int().positive(),
  workspaceId: workspaceIdSchema,
  occurredAt: instant.describe('When it happened, by the clock of whoever saw it'),
  receivedAt: instant.describe("When the system took it in, by the server's clock"),
  producer: z.string().describe('The service that published it'),
  correlationId: z.string().describe('The same for all that follows from one request'),
  causationId: z.string().nullable().describe('The event that led to this one'),
  traceparent: z.string().nullable().describe('W3C trace context of the write'),
  payload: z.unknown(),
});

export interface EventEnvelope<P = unknown> {
  id: string;
  type: string;
  version: number;
  workspaceId: string;
  occurredAt: string;
  receivedAt: string;
  producer: string;
  correlationId: string;
  causationId: string | null;
  traceparent: string | null;
  payload: P;
}

/** One event on its way: messages of the same topic and key keep their order. */
export interface BusMessage {
  topic: string;
  key: string;
  envelope: EventEnvelope;
  /** Meant for this group alone, as a redriven dead letter is; the others pass over it. */
  consumerGroup?: string;
}
