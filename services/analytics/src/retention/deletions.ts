import type { Database, Logger } from '@pca/service-kit';
import type { ErasureJob } from '../erasure/erasure.job.js';
import type { TextSweep } from '../erasure/text.sweep.js';
import type { Connection } from './connection.js';
import type { RetentionSweep } from './retention.sweep.js';

const turnMs = 1_000;
const retryMs = 10_000;
const sweepMs = 60_000;

/** Deletes in the background what erasures and retentions ask for, in one process at a time: the others look whether it still lives. */
export class Deletions {
  private stopping = false;
  private turn: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private nextSweepAt = 0;

  constructor(
    private readonly database: Database,
    private readonly erasures: ErasureJob,
    private readonly retention: RetentionSweep,
    private readonly texts: TextSweep,
    private readonly logger: Logger,
  ) {}

  start(): void {
    const again = (pauseMs: number): void => {
      if (!this.stopping) this.timer = setTimeout(() => this.start(), pauseMs);
    };
    this.turn = this.takeTurn().then(
      () => again(turnMs),
      (err: unknown) => {
        this.logger.warn({ err }, 'what is to be deleted waits; it is tried again');
        again(retryMs);
      },
    );
  }

  /** Ends after the piece that it is at. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.timer);
    await this.turn;
  }

  private async takeTurn(): Promise<void> {
    const connection = await this.database.pool.connect();
    let failure: Error | undefined;
    try {
      const { rows } = await connection.query<{ mine: boolean }>(`select pg_try_advisory_lock(hashtext('pca:deletions')) as mine`);
      if (!rows[0]?.mine) return;
      // A piece takes as long as a big day takes to be read; given up, it would begin again for ever.
      await connection.query('set statement_timeout = 0');
      await this.work(connection);
      await connection.query(`reset statement_timeout; select pg_advisory_unlock(hashtext('pca:deletions'))`);
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // The lock goes with a connection that is not to be trusted any more.
      connection.release(failure);
    }
  }

  private async work(connection: Connection): Promise<void> {
    const goOn = (): boolean => !this.stopping;
    await this.erasures.work(connection, goOn);
    if (Date.now() < this.nextSweepAt) return;
    this.nextSweepAt = Date.now() + sweepMs;
    // Somebody who wants to be forgotten does not wait for a sweep.
    await this.retention.work(connection, async () => {
      await this.erasures.work(connection, goOn);
      return goOn();
    });
    await this.texts.work(connection, goOn, 'all');
    await this.erasures.finish(connection);
  }
}
