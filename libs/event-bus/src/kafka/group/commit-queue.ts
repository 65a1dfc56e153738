import type { Begun } from '../../delivery/partition-delivery.js';
import type { Place } from '../../delivery/partition-worker.js';
import { encodeBegun } from './group-positions.js';

export interface CommitTopic {
  readonly topic: string;
  readonly partitions: { readonly partition: number; readonly offset: string; readonly metadata: string }[];
}

interface Commit {
  readonly place: Place;
  readonly done: number;
  readonly begun: Begun | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Partitions that were given their messages together ask the broker together: one request at a time, with all that was asked meanwhile. */
export class CommitQueue {
  private pending: Commit[] = [];
  private isFlushing = false;

  constructor(private readonly send: (topics: CommitTopic[]) => Promise<void>) {}

  commit(place: Place, done: number, begun: Begun | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.pending.push({ place, done, begun, resolve, reject });
      if (this.isFlushing) return;
      this.isFlushing = true;
      setImmediate(() => void this.flush());
    });
  }

  private async flush(): Promise<void> {
    while (this.pending.length > 0) {
      const commits = this.pending.splice(0);
      try {
        await this.send(topicsOf(commits));
        for (const { resolve } of commits) resolve();
      } catch (error) {
        for (const { reject } of commits) reject(error);
      }
    }
    this.isFlushing = false;
  }
}

const topicsOf = (commits: readonly Commit[]): CommitTopic[] =>
  [...Map.groupBy(commits, ({ place }) => place.topic)].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ place, done, begun }) => ({
      partition: place.partition,
      offset: String(done),
      metadata: encodeBegun(begun),
    })),
  }));
