import { type ChildProcess, spawn } from 'node:child_process';
import { type ProcessIdentity, processIdentity } from '@pca/embedded-postgres';
import { lineSplitter } from '../output/line-splitter.js';
import { backoffMs } from './backoff.js';

export type ServiceState = 'waiting' | 'starting' | 'ready' | 'not ready' | 'restarting' | 'stopping' | 'stopped';

export interface ServiceProcessOptions {
  readonly name: string;
  readonly main: string;
  readonly nodeFlags: readonly string[];
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** Something that a person wants to know. */
  readonly onNews: (message: string, level: 'info' | 'warn') => void;
  /** State or process changed. */
  readonly onChange: () => void;
  readonly silentMsMax?: number;
}

const pollStartingMs = 100;
const pollRunningMs = 2_000;
const answerMsMax = 2_000;
/** Up for this long, a service counts as healthy again and its next restart is quick. */
const forgivenMs = 30_000;

/** A service that answers nothing for so long, not even that it is not ready, hangs; nothing else would ever end that. */
const silentMsMaxDefault = 30_000;

type Answer = 'ready' | 'not ready' | 'none';

const answerOf = async (url: string): Promise<Answer> => {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(answerMsMax) });
    await response.body?.cancel();
    return response.ok ? 'ready' : 'not ready';
  } catch {
    return 'none';
  }
};

/**
 * Services of one machine share its memory. Left alone, V8 lets a heap grow to hundreds of megabytes of garbage before it looks: an import of
 * a gigabyte had 60 MB alive and 460 MB resident; with these flags it stays at 240 MB. Then it looks often. Where thousands of events come in
 * a second, project.json says what suits a service better: analytics holds many of them at once and has room for that, for a fifth less CPU;
 * the gateway holds bodies that die young, and a small nursery lets go of them before all the rest has to be looked at, for half of its CPU.
 */
export const nodeFlagsOfAll = ['--max-semi-space-size=16', '--max-old-space-size=384'];

/** One service as a process of its own that is started again, with back-off, whenever it ends without being told to. */
export class ServiceProcess {
  readonly name: string;
  readonly url: string;
  state: ServiceState = 'waiting';
  restarts = 0;
  identity: ProcessIdentity | undefined;
  private child: ChildProcess | undefined;
  private ended: Promise<void> = Promise.resolve();
  private attempt = 0;
  private restartTimer: NodeJS.Timeout | undefined;
  private pollTimer: NodeJS.Timeout | undefined;
  private stopping = false;

  constructor(private readonly options: ServiceProcessOptions) {
    this.name = options.name;
    this.url = options.url;
  }

  start(): void {
    const startedAt = Date.now();
    // A process group of its own: a terminal's Ctrl-C reaches the supervisor alone, and what a service starts in turn can be ended with it.
    const child = spawn(process.execPath, [...nodeFlagsOfAll, ...this.options.nodeFlags, this.options.main], {
      env: this.options.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    this.identity = child.pid === undefined ? undefined : processIdentity(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      const lines = lineSplitter(this.options.onLine);
      stream?.on('data', lines.write);
      stream?.on('end', lines.end);
    }
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.onEnd(`it cannot be run: ${error.message}`, startedAt);
        resolve();
      });
      child.once('exit', (code, signal) => {
        this.onEnd(signal === null ? `exit code ${code}` : `killed by ${signal}`, startedAt);
        resolve();
      });
    });
    this.setState('starting');
    this.poll(child);
  }

  /** Asks it to drain and end; resolves when it is gone. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.restartTimer);
    clearTimeout(this.pollTimer);
    if (this.child) {
      this.setState('stopping');
      this.signal('SIGTERM');
      await this.ended;
    }
    this.setState('stopped');
  }

  kill(): void {
    this.signal('SIGKILL');
  }

  private onEnd(reason: string, startedAt: number): void {
    clearTimeout(this.pollTimer);
    // What it may have started ends with it.
    this.signal('SIGKILL');
    this.child = undefined;
    this.identity = undefined;
    if (this.stopping) return this.options.onChange();
    this.attempt = Date.now() - startedAt > forgivenMs ? 1 : this.attempt + 1;
    this.restarts += 1;
    const delayMs = backoffMs(this.attempt);
    this.setState('restarting');
    this.options.onNews(
      `${this.name} ended (${reason}); starting it again in ${(delayMs / 1000).toFixed(1)} s (attempt ${this.attempt})`,
      'warn',
    );
    this.restartTimer = setTimeout(() => this.start(), delayMs);
  }

  private poll(child: ChildProcess): void {
    let heardAt = Date.now();
    let wasUp = false;
    const again = (): void => {
      const delayMs = this.state === 'starting' ? pollStartingMs : pollRunningMs;
      this.pollTimer = setTimeout(() => void look(), delayMs);
    };
    const look = async (): Promise<void> => {
      const answer = await answerOf(this.url);
      if (this.child !== child || this.stopping) return;
      if (answer !== 'none') heardAt = Date.now();
      else if (wasUp && Date.now() - heardAt > (this.options.silentMsMax ?? silentMsMaxDefault)) {
        this.options.onNews(`${this.name} answers nothing any more; ending it`, 'warn');
        return this.kill();
      }
      wasUp ||= answer === 'ready';
      if (answer === 'ready') this.becomeReady();
      else if (this.state === 'ready') {
        this.setState('not ready');
        this.options.onNews(`${this.name} is not ready`, 'warn');
      }
      again();
    };
    again();
  }

  private becomeReady(): void {
    if (this.state === 'ready') return;
    this.setState('ready');
    this.options.onNews(`${this.name} is ready at ${this.url}`, 'info');
  }

  private setState(state: ServiceState): void {
    this.state = state;
    this.options.onChange();
  }

  private signal(name: NodeJS.Signals): void {
    if (this.child?.pid === undefined) return;
    try {
      process.kill(-this.child.pid, name);
    } catch {
      // The group is gone already.
    }
  }
}
