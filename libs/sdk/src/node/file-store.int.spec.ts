import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@pca/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { uuidv7 } from '../core/uuid.js';
import { FileStore } from './file-store.js';
import { QueueFolder } from './queue-folder.js';

let folder: string;
let faults: string[];
const open: FileStore[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pca-sdk-'));
  faults = [];
});
afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
  rmSync(folder, { recursive: true });
});

const makeStore = (): FileStore => {
  const store = new FileStore(new QueueFolder(folder), (reason) => faults.push(reason));
  open.push(store);
  return store;
};
const files = (): string[] => readdirSync(folder).sort();
const ids = (store: FileStore): string[] => [...store.waiting()].map(([id]) => id);
/** What a process leaves that dies: its file, under a pid that nobody has. */
const leave = (store: FileStore, name = files().at(-1)!): void => {
  open.splice(open.indexOf(store), 1);
  renameSync(join(folder, name), join(folder, `${2 ** 22 + 1}-${uuidv7()}.queue`));
};
const event = (text: string): string => JSON.stringify({ text });

describe('the file of a queue', () => {
  // Broken by: a record that is not written, or read back as another; an order that changes; state that comes back from the dead.
  it('brings back what was saved, on random input', async () => {
    const random = seededRandom('file-store');
    const twin = { events: new Map<string, string>(), state: new Map<string, string>() };
    for (let life = 0; life < 8; life++) {
      const store = makeStore();
      expect([...store.waiting()]).toEqual([...twin.events]);
      for (const name of ['a', 'b', 'c']) expect(store.read(name)).toBe(twin.state.get(name));
      for (let step = 0; step < 60; step++) {
        const choice = random.int(10);
        if (choice < 7) {
          const [id, text] = [uuidv7(), event(random.pick(['x\ny', '"', '漢😀', '', '\\n+-= {}']).repeat(random.int(20)))];
          store.add(id, text);
          twin.events.set(id, text);
        } else if (choice < 9) {
          const gone = [...twin.events.keys()].slice(0, random.int(4));
          store.remove(gone);
          for (const id of gone) twin.events.delete(id);
        } else {
          const [name, value] = [random.pick(['a', 'b', 'c']), random.pick(['', 'x y', '\n', undefined])];
          store.write(name, value);
          if (value === undefined) twin.state.delete(name);
          else twin.state.set(name, value);
        }
        if (random.int(5) === 0) await store.saved();
      }
      await store.saved();
      leave(store);
    }
    expect(faults).toEqual([]);
  });

  // Broken by: a power cut in the middle of a write, which must cost nothing that was acknowledged, wherever it cuts.
  it('survives a torn end at every length', async () => {
    const store = makeStore();
    const first = uuidv7();
    store.add(first, event('first'));
    await store.saved();
    const path = join(folder, files()[0]!);
    const whole = statSync(path).size;
    const second = uuidv7();
    store.add(second, event('second'));
    store.write('user', 'ada lovelace');
    await store.saved();
    leave(store);
    const text = readFileSync(join(folder, files()[0]!));
    for (let length = whole; length < text.length; length++) {
      for (const name of files()) rmSync(join(folder, name));
      const torn = join(folder, `0-${uuidv7()}.queue`);
      writeFileSync(torn, text);
      truncateSync(torn, length);
      const next = makeStore();
      const isWhole = length >= whole + `+${second} ${event('second')}`.length;
      expect(ids(next)).toEqual(isWhole ? [first, second] : [first]);
      expect([undefined, 'ada lovelace']).toContain(next.read('user'));
      leave(next);
    }
  });

  // Broken by: a file that grows with every event that was ever sent.
  it('is written anew when most of it is history', async () => {
    const store = makeStore();
    const kept = uuidv7();
    store.add(kept, event('kept'));
    for (let round = 0; round < 50; round++) {
      const batch = Array.from({ length: 10 }, () => uuidv7());
      for (const id of batch) store.add(id, event('x'.repeat(10_000)));
      await store.saved();
      store.remove(batch);
      await store.saved();
    }
    expect(statSync(join(folder, files()[0]!)).size).toBeLessThan(2_000_000);
    leave(store);
    expect(ids(makeStore())).toEqual([kept]);
  });

  // Broken by: a folder that somebody cleans while the program runs, whose next crash would cost the queue.
  it('comes back when it is gone', async () => {
    const store = makeStore();
    const id = uuidv7();
    store.add(id, event('kept'));
    await store.saved();
    for (const name of files()) rmSync(join(folder, name));
    store.fileIsGone();
    await store.saved();
    leave(store);
    expect(ids(makeStore())).toEqual([id]);
  });
});

describe('the folder of queues', () => {
  const add = async (store: FileStore, text: string): Promise<string> => {
    const id = uuidv7();
    store.add(id, event(text));
    await store.saved();
    return id;
  };

  // Broken by: a queue that waits for its own process, which never comes back; one taken from a living process.
  it('gives what the dead left to the next, in order, and nothing of the living', async () => {
    const [dead, living] = [makeStore(), makeStore()];
    const [name] = files();
    const first = await add(dead, 'dead');
    const own = await add(living, 'living');
    const second = await add(dead, 'dead');
    leave(dead, name);
    const next = makeStore();
    expect(ids(next)).toEqual([first, second]);
    expect(files()).toHaveLength(2);
    expect(ids(makeStore())).toEqual([]);
    expect(ids(living)).toEqual([own]);
  });

  // Broken by: an event acknowledged into a file that another process has read and unlinked, while this one was stopped for minutes.
  it('acknowledges nothing into a file that was taken from the living', async () => {
    const stopped = makeStore();
    const [name] = files();
    const first = await add(stopped, 'first');
    const longAgo = new Date(Date.now() - 5 * 60_000 - 1_000);
    utimesSync(join(folder, name!), longAgo, longAgo);
    renameSync(join(folder, name!), join(folder, `${process.ppid}-${name!}`));
    expect(ids(makeStore())).toEqual([first]);
    const second = await add(stopped, 'second');
    leave(stopped, name);
    expect(ids(makeStore())).toEqual([first, second]);
    expect(faults).toEqual([]);
  });

  // Broken by: pids that are used again: after a restart of a container everything is pid 1, elsewhere another program has it.
  it('knows a file of a process before it that had its pid, and one that nobody has touched for long', async () => {
    const [earlier, other] = [uuidv7(), uuidv7()];
    const before = new Date(Date.now() - process.uptime() * 1_000 - 1_000);
    const mine = join(folder, `${process.pid}-a.queue`);
    writeFileSync(mine, `+${earlier} {}`);
    utimesSync(mine, before, before);
    const stranger = join(folder, `${process.ppid}-b.queue`);
    writeFileSync(stranger, `+${other} {}`);
    expect(ids(makeStore())).toEqual([earlier]);
    const longAgo = new Date(Date.now() - 5 * 60_000 - 1_000);
    utimesSync(stranger, longAgo, longAgo);
    expect(ids(makeStore())).toEqual([other]);
  });

  // Broken by: files that no close removes, a queue that a close hides from the next, half files of a crash while writing anew.
  it('keeps no empty files and hands over the others', async () => {
    const store = makeStore();
    const id = await add(store, 'kept');
    writeFileSync(join(folder, '0-x.queue.half'), 'half');
    await open.pop()!.close();
    expect(files()).toEqual([expect.stringMatching(/^0-.*\.queue$/), '0-x.queue.half']);
    const next = makeStore();
    expect(ids(next)).toEqual([id]);
    next.remove([id]);
    await open.pop()!.close();
    expect(files()).toEqual([]);
  });

  // Broken by: a configuration that silently keeps nothing.
  it('that cannot be one is a fault at the start', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => new QueueFolder(join(folder, 'file'))).toThrow('EEXIST');
    rmSync(join(folder, 'file'));
  });
});
