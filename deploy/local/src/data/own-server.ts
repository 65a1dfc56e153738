import type { ProcessIdentity, ServerExit } from '@pca/embedded-postgres';
import { backoffMs } from '../services/backoff.js';

/** What the servers that we start ourselves have in common. */
interface StartedServer {
  readonly port: number;
  readonly exited: Promise<ServerExit>;
  setCompanions(companions: readonly ProcessIdentity[]): void;
  stop(): Promise<void>;
}

interface OwnServerOptions<Server> {
  readonly name: string;
  /** Starts it on a port again. */
  readonly launch: (port: number) => Promise<Server>;
  readonly onNews: (message: string, level: 'info' | 'warn') => void;
  /** The state has changed. */
  readonly onChange: () => void;
}

/** A server of our own that is started again when it dies. */
export class OwnServer<Server extends StartedServer> {
  state = 'ready';
  private companions: readonly ProcessIdentity[] = [];
  private stopping = false;
  private wake: (() => void) | undefined;
  private readonly watching: Promise<void>;

  constructor(
    private server: Server,
    private readonly options: OwnServerOptions<Server>,
  ) {
    this.watching = this.watch();
  }

  /** What runs now or ran last. */
  get current(): Server {
    return this.server;
  }

  setCompanions(companions: readonly ProcessIdentity[]): void {
    this.companions = companions;
    this.server.setCompanions(companions);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake?.();
    await this.server.stop();
    await this.watching;
    // A restart that was under way has brought a new one.
    await this.server.stop();
  }

  private async watch(): Promise<void> {
    while (!this.stopping) {
      const { code, signal, wanted } = await this.server.exited;
      if (!wanted && !this.stopping) await this.restart(signal === null ? `exit code ${code}` : `killed by ${signal}`);
    }
  }

  /** On its old port, which the services know. */
  private async restart(reason: string): Promise<void> {
    const { name, launch, onNews } = this.options;
    this.setState('restarting');
    for (let attempt = 1; ; attempt += 1) {
      const delayMs = backoffMs(attempt);
      onNews(`${name} ended (${reason}); starting it again in ${(delayMs / 1000).toFixed(1)} s (attempt ${attempt})`, 'warn');
      await this.sleep(delayMs);
      if (this.stopping) return;
      try {
        this.server = await launch(this.server.port);
        this.server.setCompanions(this.companions);
        this.setState('ready');
        return onNews(`${name} is ready again`, 'info');
      } catch (error) {
        if (this.stopping) return;
        reason = error instanceof Error ? error.message : String(error);
      }
    }
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, ms);
    });
  }

  private setState(state: string): void {
    this.state = state;
    this.options.onChange();
  }
}
