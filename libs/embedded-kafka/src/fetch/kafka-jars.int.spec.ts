import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { embeddedKafkaMissing } from '../index.js';
import { findJava, javaVersionOf } from './find-java.js';
import { kafkaJars } from './kafka-jars.js';
import { kafkaVersion } from './maven.js';

// Programs that stand for Java and Maven, so that what they lack, refuse or leave half done can be tried.

const { PATH: path, JAVA_HOME: home, XDG_CACHE_HOME: cache } = process.env;
let root: string;
let bin: string;
let jars: string;

const program = (folder: string, name: string, text: string): void => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
};
const java = (version: string): string => `echo 'openjdk version "${version}" 2025-04-15' >&2`;

/** Maven that notes its arguments, "downloads" and then does what the rest says; $out is the folder for the jars. */
const maven = (rest: string): void =>
  program(
    bin,
    'mvn',
    `for a in "$@"; do case "$a" in -DoutputDirectory=*) out="\${a#*=}" ;; esac; done
     echo "$@" >> ${root}/calls
     echo 'Downloaded from x: kafka.jar'
     echo one > "$out/kafka.jar"
     ${rest}`,
  );
const calls = (): string[] => (existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') : []);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pca-kafka-jars-'));
  bin = join(root, 'bin');
  jars = join(root, 'cache/pca-agent', `kafka-${kafkaVersion}`);
  program(bin, 'java', java('17.0.15'));
  for (const tool of ['sh', 'sleep', 'setpriv', 'true']) {
    const found = (path ?? '').split(':').map((folder) => join(folder, tool));
    const file = found.find(existsSync);
    if (file) symlinkSync(file, join(bin, tool));
  }
  process.env['PATH'] = bin;
  process.env['XDG_CACHE_HOME'] = join(root, 'cache');
  delete process.env['JAVA_HOME'];
});

afterEach(() => {
  for (const [name, value] of Object.entries({ PATH: path, JAVA_HOME: home, XDG_CACHE_HOME: cache }))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  rmSync(root, { recursive: true, force: true });
});

const fetchJars = async (more: { onNews?: (message: string) => void; signal?: AbortSignal } = {}): Promise<string[]> =>
  readdirSync(await kafkaJars({ java: await findJava(), onNews: () => undefined, ...more })).sort();

/** The same in a process of its own, from the built files. */
const fetchApart = (): ChildProcess => {
  const built = (name: string): string => fileURLToPath(new URL(`../../dist/fetch/${name}.js`, import.meta.url));
  const script = `import { findJava } from ${JSON.stringify(built('find-java'))};
    import { kafkaJars } from ${JSON.stringify(built('kafka-jars'))};
    await kafkaJars({ java: await findJava(), onNews: () => undefined });`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'inherit'] });
};

describe('Java', () => {
  // Broken by: reading 1.8 as 1, or a vendor's line as none.
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21-ea" 2023-09-19', 21],
    ['java version "1.8.0_292"', 8],
    ['Picked up JAVA_TOOL_OPTIONS: -Dx\nopenjdk version "25" 2025-09-16', 25],
    ['no such thing', undefined],
  ])('says its version: %s', (output, version) => {
    expect(javaVersionOf(output)).toBe(version);
  });

  // Broken by: asking the search path first, or stopping at a JAVA_HOME that is of no use.
  it('is that of JAVA_HOME, else that of the search path, if it is new enough', async () => {
    program(join(root, 'jdk/bin'), 'java', java('21.0.1'));
    process.env['JAVA_HOME'] = join(root, 'jdk');
    expect(await findJava()).toEqual({ file: join(root, 'jdk/bin/java'), home: join(root, 'jdk') });
    program(join(root, 'jdk/bin'), 'java', java('11.0.2'));
    expect(await findJava()).toEqual({ file: 'java', home: undefined });
    process.env['JAVA_HOME'] = join(root, 'nowhere');
    expect(await findJava()).toEqual({ file: 'java', home: undefined });
  });

  // Broken by: a fault that does not say what to install, or a start that goes on without Java.
  it('that is missing or too old is refused with what to do', async () => {
    const advice = 'install a Java runtime 17 or newer and Maven, or set KAFKA_BROKERS to a Kafka broker';
    program(bin, 'java', java('11.0.2'));
    expect(await embeddedKafkaMissing()).toMatchObject({
      fault: 'JAVA_TOO_OLD',
      message: `Kafka needs Java 17, this is Java 11: ${advice}`,
    });
    rmSync(join(bin, 'java'));
    expect(await embeddedKafkaMissing()).toMatchObject({
      fault: 'JAVA_MISSING',
      message: `Kafka needs Java, and there is none: ${advice}`,
    });
  });
});

describe('the jars', () => {
  // Broken by: no check of checksums, fetching on every start, or asking for Maven when nothing is to be fetched.
  it('are fetched once, with strict checksums, and tell so', async () => {
    const news: string[] = [];
    maven('echo two > "$out/clients.jar"');
    expect(await embeddedKafkaMissing()).toBeUndefined();
    expect(await fetchJars({ onNews: (message) => news.push(message) })).toEqual(['clients.jar', 'jars.json', 'kafka.jar']);
    expect(calls()).toEqual([expect.stringMatching(/^-B -C -f \S+pom\.xml \S+:3\.8\.1:copy-dependencies /) as string]);
    expect(news).toEqual([`fetching Kafka ${kafkaVersion} by Maven (about 50 MB, only this once)`]);
    rmSync(join(bin, 'mvn'));
    expect(await embeddedKafkaMissing()).toBeUndefined();
    expect(await fetchJars()).toHaveLength(3);
    expect(calls()).toHaveLength(1);
  });

  // Broken by: taking a folder for whole because it is there.
  it('are fetched again when some are gone or cut short', async () => {
    maven('');
    await fetchJars();
    writeFileSync(join(jars, 'kafka.jar'), '');
    await fetchJars();
    rmSync(join(jars, 'kafka.jar'));
    await fetchJars();
    expect(calls()).toHaveLength(3);
    expect(readFileSync(join(jars, 'kafka.jar'), 'utf8')).toBe('one\n');
  });

  // Broken by: fetching into the final folder, and by a Maven that outlives who asked for it.
  it('count for nothing when the fetch was killed half-way', async () => {
    maven(`echo $$ > ${root}/pid; exec sleep 600`);
    const killed = fetchApart();
    await expect.poll(() => existsSync(join(root, 'pid'))).toBe(true);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(existsSync(jars)).toBe(false);
    if (existsSync(join(bin, 'setpriv'))) {
      const pid = Number(readFileSync(join(root, 'pid'), 'utf8'));
      await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
    }
    maven('');
    expect(await fetchJars()).toEqual(['jars.json', 'kafka.jar']);
    expect(readdirSync(join(root, 'cache/pca-agent')).sort()).toEqual([`kafka-${kafkaVersion}`, 'lock']);
  });

  // Broken by: a fetch without a lock (two calls), or a lock that the second never gets past.
  it('are fetched once by processes that ask at the same time', async () => {
    maven('sleep 1');
    const asking = [fetchApart(), fetchApart(), fetchApart()];
    expect(await Promise.all(asking.map(async (child) => (await once(child, 'exit')) as unknown))).toEqual(Array(3).fill([0, null]));
    expect(calls()).toHaveLength(1);
  });

  // Broken by: a failure that is kept for whole, or one that hides what Maven said.
  it('that cannot be had are refused with what Maven said', async () => {
    maven('echo "[INFO] trying"; echo "[ERROR] Unknown host"; exit 1');
    await expect(fetchJars()).rejects.toMatchObject({
      fault: 'FETCH_FAILED',
      message: expect.stringMatching(/^Kafka could not be fetched \(Unknown host\): try again, or set KAFKA_BROKERS .+$/) as string,
    });
    rmSync(join(bin, 'mvn'));
    await expect(fetchJars()).rejects.toMatchObject({ fault: 'MAVEN_MISSING' });
    maven('');
    expect(await fetchJars()).toHaveLength(2);
  });

  // Broken by: an error of the file system where a sentence should be.
  it('are refused where the cache cannot be written', async () => {
    maven('');
    writeFileSync(join(root, 'cache'), '');
    await expect(fetchJars()).rejects.toMatchObject({
      fault: 'FETCH_FAILED',
      message: expect.stringContaining('set XDG_CACHE_HOME') as string,
    });
  });

  // Broken by: silence while a person waits, a fetch that goes on when nobody wants it any more, or a Maven that is left behind.
  it('tell how far they are, and are given up when the start is', async () => {
    maven(`echo $$ > ${root}/pid; exec sleep 600`);
    const abort = new AbortController();
    const news: string[] = [];
    const fetching = fetchJars({ signal: abort.signal, onNews: (message) => news.push(message) });
    await expect.poll(() => news.at(-1)).toMatch(/^\d+ s: fetching Kafka, files so far: 1$/);
    abort.abort(new Error('not wanted'));
    await expect(fetching).rejects.toThrow('not wanted');
    const pid = Number(readFileSync(join(root, 'pid'), 'utf8'));
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  });
});
