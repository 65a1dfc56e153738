import type { Client, ClientOptions } from '../core/client-types.js';
import { reporter } from '../core/report.js';
import { TrackingClient } from '../core/tracking-client.js';
import { FileStore } from './file-store.js';
import { MemoryStore } from './memory-store.js';
import { QueueFolder } from './queue-folder.js';

export interface NodeOptions extends ClientOptions {
  /**
   * Where the queue is kept, so that it survives a crash: an event is on the disk when its call resolves. Without it the queue ends with the
   * process. Processes of one machine or container may share a folder.
   */
  folder?: string;
  /**
   * False (a server speaks for many): each call names its person by `userId` or `anonymousId`. True (a command line, a desktop program):
   * anonymous id, session and `identify` are remembered as in a browser.
   */
  remember?: boolean;
}

/** @throws TypeError without endpoint or writeKey; what the file system says when the folder cannot be written. */
export const createClient = (options: NodeOptions): Client => {
  const onError = reporter(options.onError);
  const onFault = (message: string): void => onError({ code: 'STORAGE_FAILED', message, events: [] });
  const store = options.folder ? new FileStore(new QueueFolder(options.folder), onFault) : new MemoryStore();
  return new TrackingClient(options, {
    store,
    network: { exclusively: (work) => work() },
    queueLimits: { events: 10_000, characters: 16_000_000 },
    consentRules: { required: false, objection: false },
    remembers: options.remember ?? false,
    context: () => ({}),
    onClose: () => (store instanceof FileStore ? store.close() : undefined),
    onError,
  });
};
