import type { Outcome } from './event-bus.js';

/** A failed attempt at handling that will be repeated. */
export interface Retry {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly messages: number;
  readonly attempt: number;
  readonly retryInMs: number;
}

/** Where an adapter reports what it does, for metrics and logs. None of these may throw. */
export interface EventBusObserver {
  /** So many messages of a topic became durable, in a batch that took so many seconds from being sent to being confirmed. */
  published?(topic: string, messages: number, seconds: number): void;
  /** So many messages of a topic were not confirmed. */
  publishFailed?(topic: string, messages: number, error: unknown): void;
  /** A call to a handler ended so. */
  delivered?(group: string, topic: string, outcome: Outcome['is'], messages: number, seconds: number): void;
  retrying?(retry: Retry, error: unknown): void;
  /** A message went to the dead letters. */
  deadLettered?(group: string, topic: string, reason: string): void;
  /** Retention took messages that the group had not handled yet. */
  missed?(group: string, topic: string, messages: number): void;
  /** The hard cap on the log's size took what some group or the retention still wanted: somebody must act. */
  capped?(droppedBytes: number, bytesMax: number): void;
  /** A connection broke, or could not be made, outside of any call; another is opened. */
  connectionLost?(error: Error): void;
}
