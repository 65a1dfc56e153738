// @ts-expect-error -- kafkajs has no types for what is inside of it
import untyped from 'kafkajs/src/network/requestQueue/index.js';

interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  scheduleCheckPendingRequests(): void;
}

const { prototype } = untyped as { readonly prototype: RequestQueue };
const schedule = prototype.scheduleCheckPendingRequests;

/**
 * Lets the connections of kafkajs rest, for the whole process. A queue of requests looks at itself by a timer, and kafkajs sets that timer
 * anew when nothing waits, for a time that lies in the past: a thousand times a second and connection, and Node warns of it.
 */
export const letRequestQueuesRest = (): void => {
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
};
