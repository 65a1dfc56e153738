import { randomUUID } from 'node:crypto';
import { DomainError } from '@pca/errors';
import type { z } from 'zod';
import { type BusMessage, envelopeSchema, type EventEnvelope } from './envelope.js';
import { isSurelyEnvelope } from './surely-tracked.js';

export interface EventDefinition<S extends z.ZodObject = z.ZodObject> {
  /** For example `campaign.created.v1`; the major version is part of the name. */
  readonly type: string;
  readonly version: number;
  readonly topic: string;
  readonly producer: string;
  readonly description: string;
  readonly schema: S;
  /** What the order is kept by. */
  readonly key: (payload: z.infer<S>, workspaceId: string) => string;
  /** For what comes thousands of times a second: whether the schema would surely take a payload, and leave it as it is. */
  readonly isSurely?: (payload: unknown) => boolean;
}

/** The request that an event follows from. */
export interface EventContext {
  workspaceId: string;
  correlationId: string;
  causationId?: string | null;
  traceparent?: string | null;
  /** As text: an ISO 8601 instant in UTC. */
  occurredAt?: Date | string;
  /** Who publishes an event that is not its definition's producer's alone. */
  producer?: string;
}

const byType = new Map<string, EventDefinition>();

/** Declares an event once, for producers, consumers and AsyncAPI alike. */
export const defineEvent = <S extends z.ZodObject>(definition: Omit<EventDefinition<S>, 'version'>): EventDefinition<S> => {
  const version = Number(/\.v([1-9]\d*)$/.exec(definition.type)?.[1]);
  if (!version) throw new Error(`Event type ${definition.type} must end in its major version, such as .v1`);
  if (byType.has(definition.type)) throw new Error(`Event type ${definition.type} is defined twice`);
  const defined = { ...definition, version };
  byType.set(definition.type, defined as unknown as EventDefinition);
  return defined;
};

export const eventDefinitions = (): readonly EventDefinition[] => [...byType.values()];

export const eventDefinitionOf = (type: string): EventDefinition | undefined => byType.get(type);

/**
 * A UUIDv7: milliseconds, version, and what of a random one is left. Node draws the randomness of many ids at once; drawn for each id, as the
 * uuid package does, it was the dearest part of an event.
 */
const newEventId = (ms: number): string => {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
};

let last = { ms: 0, text: new Date(0).toISOString() };

/** A batch is made within a few milliseconds: most of its events have the text of the one before. */
const instantOf = (ms: number): string => {
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() };
  return last.text;
};

/** An event ready for the outbox. Throws ZodError when the producer breaks its own contract, which is a bug and not bad input. */
export const makeEvent = <S extends z.ZodObject>(definition: EventDefinition<S>, payload: z.infer<S>, context: EventContext): BusMessage =>
  makeCheckedEvent(definition, definition.schema.parse(payload) as z.infer<S>, context);

/**
 * The same of a payload that the caller has checked, and made of plain JSON: where thousands come in a second, the schema would be a third
 * of the cost. The caller's tests hold it to the schema; consumers check it all the same.
 */
export const makeCheckedEvent = <S extends z.ZodObject>(
  definition: EventDefinition<S>,
  payload: z.infer<S>,
  context: EventContext,
): BusMessage => {
  const nowMs = Date.now();
  const now = instantOf(nowMs);
  const { occurredAt = now } = context;
  return {
    topic: definition.topic,
    key: definition.key(payload, context.workspaceId),
    envelope: {
      id: newEventId(nowMs),
      type: definition.type,
      version: definition.version,
      workspaceId: context.workspaceId,
      occurredAt: typeof occurredAt === 'string' ? occurredAt : occurredAt.toISOString(),
      receivedAt: now,
      producer: context.producer ?? definition.producer,
      correlationId: context.correlationId,
      causationId: context.causationId ?? null,
      traceparent: context.traceparent ?? null,
      payload,
    },
  };
};

/** An envelope from the bus, checked down to its payload. Throws BAD_USER_INPUT with the reason for the dead letter. */
export const parseEvent = (value: unknown): EventEnvelope => {
  if (isSurely(value)) return value;
  const envelope = envelopeSchema.safeParse(value);
  if (!envelope.success) throw new DomainError('BAD_USER_INPUT', `Not an event envelope: ${firstIssue(envelope.error)}`);
  const definition = byType.get(envelope.data.type);
  if (!definition) throw unknownEvent(envelope.data.type);
  if (envelope.data.version !== definition.version) {
    throw new DomainError('BAD_USER_INPUT', `${envelope.data.type} has version ${definition.version}, not ${envelope.data.version}`);
  }
  const payload = definition.schema.safeParse(envelope.data.payload);
  if (!payload.success) throw new DomainError('BAD_USER_INPUT', `Bad payload of ${envelope.data.type}: ${firstIssue(payload.error)}`);
  return { ...envelope.data, payload: payload.data };
};

const isSurely = (value: unknown): value is EventEnvelope => {
  const definition = byType.get((value as Partial<EventEnvelope> | null)?.type ?? '');
  if (!definition?.isSurely || !isSurelyEnvelope(value)) return false;
  return value.version === definition.version && definition.isSurely(value.payload);
};

/** What is wrong with a type that no contract names; another version of one that is named is told apart. */
export const unknownEvent = (type: string): DomainError => {
  const name = type.replace(/\.v\d+$/, '.');
  const known = [...byType.keys()].filter((other) => other.startsWith(name) && /^v\d+$/.test(other.slice(name.length)));
  const versions = known.length > 0 ? `; known is ${known.join(', ')}` : '';
  return new DomainError('BAD_USER_INPUT', `Unknown event type ${type}${versions}`);
};

const firstIssue = (error: z.ZodError): string => {
  const issue = error.issues[0];
  return issue ? `${issue.path.join('.') || '(root)'}: ${issue.message}` : 'unknown';
};
