import { closeSync, constants, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { MemoryStore } from './memory-store.js';
import type { QueueFolder } from './queue-folder.js';

/** A file is written anew when it is larger than this and most of it is history. */
const rewriteCharacters = 1_000_000;

// A record is a line. What it holds is JSON, of which no beginning is JSON too: the last one, torn by a crash, is recognised.
const added = (id: string, event: string): string => `+${id} ${event}\n`;
const removed = (id: string): string => `-${id}\n`;
const written = (name: string, value: string | undefined): string => `=${name} ${JSON.stringify(value ?? null)}\n`;

/** The queue and the state in an append-only file. `saved` resolves after fsync; calls at the same time share one. */
export class FileStore extends MemoryStore {
  readonly #folder: QueueFolder;
  readonly #path: string;
  readonly #onFault: (reason: string) => void;
  readonly #keepAlive: NodeJS.Timeout;
  #file: FileHandle | undefined;
  #pending = '';
  #characters = 0;
  /** What stands in the file is not what stands here. */
  #isStale = false;
  #isTold = false;
  #writing = Promise.resolve();

  /** @throws when the folder cannot be written. */
  constructor(folder: QueueFolder, onFault: (reason: string) => void) {
    super();
    this.#folder = folder;
    this.#onFault = onFault;
    this.#path = folder.ownPath();
    const taken = folder.takeOver();
    for (const path of taken) this.#load(readFileSync(path, 'utf8'));
    this.#putInOrder();
    this.#begin();
    for (const path of taken) unlinkSync(path);
    this.#keepAlive = folder.keepAlive(this.#path, () => this.fileIsGone());
  }

  /** Somebody cleaned the folder, or took the file of what seemed dead: it is written again. */
  fileIsGone(): void {
    this.#isStale = true;
    void this.saved();
  }

  override write(name: string, value: string | undefined): void {
    super.write(name, value);
    this.#pending += written(name, value);
  }

  override add(id: string, event: string): void {
    super.add(id, event);
    this.#pending += added(id, event);
  }

  override remove(ids: readonly string[]): void {
    super.remove(ids);
    for (const id of ids) this.#pending += removed(id);
  }

  override saved(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#save());
    return this.#writing;
  }

  /** Leaves the file to whoever comes next; an empty one goes. */
  async close(): Promise<void> {
    clearInterval(this.#keepAlive);
    await this.saved();
    await this.#file?.close();
    try {
      if (this.events.size || this.state.size) renameSync(this.#path, this.#folder.ownPath(0));
      else unlinkSync(this.#path);
    } catch (error) {
      this.#onFault(String(error));
    }
  }

  #load(text: string): void {
    for (const line of text.split('\n')) {
      const [, kind, key = '', value = ''] = /^([-+=])(\S+) ?(.*)$/s.exec(line) ?? [];
      try {
        if (kind === '-') super.remove([key]);
        else if (kind === '+' && JSON.parse(value)) super.add(key, value);
        else if (kind === '=') super.write(key, (JSON.parse(value) as string | null) ?? undefined);
      } catch {
        // Torn by a crash: nobody was told that it is kept.
      }
    }
  }

  /** Files of several dead processes are one queue now. */
  #putInOrder(): void {
    const sorted = [...this.events].sort(([a], [b]) => (a < b ? -1 : 1));
    this.events.clear();
    for (const [id, event] of sorted) this.events.set(id, event);
  }

  #contents(): string {
    return (
      [...this.state].map(([name, value]) => written(name, value)).join('') +
      [...this.events].map(([id, event]) => added(id, event)).join('')
    );
  }

  #begin(): void {
    const descriptor = openSync(this.#path, 'wx', 0o600);
    try {
      writeFileSync(descriptor, this.#contents());
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    this.#folder.sync();
  }

  async #save(): Promise<void> {
    try {
      const live = this.size().characters;
      if (this.#isStale || (this.#characters > rewriteCharacters && this.#characters > 2 * live)) await this.#rewrite();
      if (this.#pending && !(await this.#append())) await this.#rewrite();
      this.#isTold = false;
    } catch (error) {
      // Memory has it all; the next one to save tries to write it anew. Until then the fault is told once.
      if (!this.#isTold) this.#onFault(String(error));
      this.#isTold = true;
      this.#isStale = true;
      this.#pending = '';
    }
  }

  /**
   * Whether the file is still in its place afterwards. A process that was stopped for minutes may have lost it to another, which has read
   * it already: then what is appended stands where nobody looks.
   */
  async #append(): Promise<boolean> {
    const text = this.#pending;
    this.#pending = '';
    try {
      this.#file ??= await open(this.#path, constants.O_WRONLY | constants.O_APPEND);
      await this.#file.appendFile(text);
      await this.#file.datasync();
      this.#characters += text.length;
      const [own, there] = await Promise.all([this.#file.stat(), stat(this.#path)]);
      return own.ino === there.ino && own.dev === there.dev;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  async #rewrite(): Promise<void> {
    const half = `${this.#path}.half`;
    await this.#file?.close();
    this.#file = undefined;
    const file = await open(half, 'w', 0o600);
    try {
      this.#pending = '';
      const contents = this.#contents();
      await file.appendFile(contents);
      await file.sync();
      this.#characters = contents.length;
    } finally {
      await file.close();
    }
    await rename(half, this.#path);
    this.#folder.sync();
    this.#isStale = false;
  }
}
