import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A process of the test, run from the sources, with the lines it has said. */
export class Spawned {
  readonly lines: string[] = [];
  private readonly child: ChildProcess;
  /** Its exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  private errors = '';

  /** `script` is a file beside this one, or the URL of a file; so is what lets it run from the sources. */
  constructor(script: string, args: readonly string[], loader = 'from-source.mjs') {
    const flags = [
      '--experimental-transform-types',
      '--disable-warning=ExperimentalWarning',
      '--import',
      new URL(loader, import.meta.url).href,
    ];
    this.child = spawn(process.execPath, [...flags, path(script), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let rest = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      // What a killed process had not finished saying, it has not said.
      rest = lines.pop() ?? '';
      this.lines.push(...lines);
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** SIGSTOP and SIGCONT, for one. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** kill -9; resolves when it is gone and everything that it said is read. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves when it has ended by itself. Throws when it does not end well. */
  async end(): Promise<void> {
    const code = await this.ended;
    if (code !== 0) throw new Error(`A process of the test ended with ${code}: ${this.errors}`);
  }

  /** Resolves when it has said that it has started, or is gone. */
  async started(): Promise<void> {
    while (!this.lines.includes('started') && this.child.exitCode === null && this.child.signalCode === null) await sleep(10);
  }

  /** Asks it to finish, once it has said that it has started; resolves when it is gone. Throws when it does not end well. */
  async finish(): Promise<void> {
    await this.started();
    this.child.kill('SIGTERM');
    await this.end();
  }
}
