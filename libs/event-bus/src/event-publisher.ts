import type { BusMessage } from '@pca/contracts';

/**
 * The publishing side of the bus. Every adapter keeps these promises, and the contract suite in `test/` holds it to them:
 *
 * - **Durable.** The promise resolves when every message is on disk (or wherever the bus keeps what it must not lose) and not before.
 * - **At least once.** A rejected call may have been stored, wholly or in part: the answer can be lost after the commit. Publish it again;
 *   a repeat carries the same `envelope.id`, by which consumers tell it.
 * - **Order per key.** Messages of one topic and key stay in the order of the array, and calls of one publisher in the order in which they
 *   were made. When a call fails, all that waited behind it fail too, so that nothing overtakes what is published again.
 * - **Nothing by halves at the door.** A message or a call over the limits is refused whole, before anything is stored, with
 *   PAYLOAD_TOO_LARGE (a broken topic or key: BAD_USER_INPUT). Neither will ever succeed, so do not try again.
 * - **Bounded.** More waiting messages than the publisher may hold, an unreachable bus and a closed publisher are SERVICE_UNAVAILABLE,
 *   which may succeed later. Every call settles within the adapter's time limit; a caller who awaits it is slowed to the pace of the bus.
 */
export interface EventPublisher {
  publish(messages: readonly BusMessage[]): Promise<void>;
}
