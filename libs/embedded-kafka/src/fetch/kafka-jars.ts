import { accessSync, constants, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type FolderLock, lockFolder } from '@pca/embedded-postgres';
import { EmbeddedKafkaError, howToGetOne } from '../embedded-kafka-error.js';
import { cacheHome, searchPath } from '../env.js';
import type { Java } from './find-java.js';
import { kafkaVersion, runMaven } from './maven.js';

interface FetchOptions {
  readonly java: Java;
  /** What is going on, for a person who waits. */
  readonly onNews: (message: string) => void;
  readonly signal?: AbortSignal;
}

const fetchMsMax = 600_000;
const tellMs = 5_000;
const listFile = 'jars.json';
const unfinishedPrefix = `kafka-${kafkaVersion}.unfinished-`;

const cacheFolder = (): string => join(cacheHome(), 'pca-agent');
const jarsFolder = (): string => join(cacheFolder(), `kafka-${kafkaVersion}`);

const sizes = (folder: string): Record<string, number> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.endsWith('.jar'))
      .map((name) => [name, statSync(join(folder, name)).size]),
  );

/** Whether all is there that Maven brought: what a cache holds may be cleared away, in parts too. */
const isWhole = (folder: string): boolean => {
  try {
    const wanted = JSON.parse(readFileSync(join(folder, listFile), 'utf8')) as Record<string, number>;
    const found = sizes(folder);
    return Object.entries(wanted).every(([name, size]) => found[name] === size);
  } catch {
    return false;
  }
};

const canRun = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Throws EmbeddedKafkaError when Kafka is not there and cannot be fetched for want of Maven; whether a repository answers is not asked. */
export const checkJars = (): void => {
  const hasMaven = searchPath()
    .split(delimiter)
    .some((folder) => folder !== '' && canRun(join(folder, 'mvn')));
  if (!hasMaven && !isWhole(jarsFolder()))
    throw new EmbeddedKafkaError('MAVEN_MISSING', `Kafka is fetched by Maven, and there is none: ${howToGetOne}`);
};

const ensureFolder = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    const message = `Kafka cannot be kept in ${folder}: set XDG_CACHE_HOME to a folder that can be written`;
    throw new EmbeddedKafkaError('FETCH_FAILED', message, [], { cause });
  }
};

/** Calls back about every five seconds until it is cancelled. */
const everyMoment = (tell: (seconds: number) => void): (() => void) => {
  const since = Date.now();
  const timer = setInterval(() => tell(Math.round((Date.now() - since) / 1000)), tellMs);
  return () => clearInterval(timer);
};

/** Waits for its turn; undefined when another process has meanwhile brought everything. */
const untilOurTurn = async (folder: string, { onNews }: FetchOptions, signal: AbortSignal): Promise<FolderLock | undefined> => {
  const cancel = everyMoment((seconds) => onNews(`${seconds} s: another process is fetching Kafka ${kafkaVersion}`));
  try {
    while (!isWhole(jarsFolder())) {
      const lock = await lockFolder(folder);
      if (lock) return lock;
      if (signal.aborted) throw new EmbeddedKafkaError('FETCH_FAILED', `Another process is fetching Kafka into ${folder} and does not end`);
    }
    return undefined;
  } finally {
    cancel();
  }
};

/** Fetched aside and renamed, so that an end at any moment leaves all of it or nothing that counts. The caller holds the lock. */
const fetchJars = async (folder: string, { java, onNews }: FetchOptions, signal: AbortSignal): Promise<void> => {
  for (const left of readdirSync(folder).filter((name) => name.startsWith(unfinishedPrefix)))
    rmSync(join(folder, left), { recursive: true, force: true });
  const unfinished = join(folder, `${unfinishedPrefix}${process.pid}`);
  mkdirSync(unfinished);
  let downloaded = 0;
  onNews(`fetching Kafka ${kafkaVersion} by Maven (about 50 MB, only this once)`);
  const cancel = everyMoment((seconds) => onNews(`${seconds} s: fetching Kafka, files so far: ${downloaded}`));
  try {
    await runMaven({ java, folder: unfinished, signal, onDownload: () => (downloaded += 1) });
    writeFileSync(join(unfinished, listFile), JSON.stringify(sizes(unfinished)));
    rmSync(jarsFolder(), { recursive: true, force: true });
    renameSync(unfinished, jarsFolder());
  } finally {
    cancel();
    rmSync(unfinished, { recursive: true, force: true });
  }
};

/**
 * The folder of Kafka's jars, in the user's cache; fetched by Maven when it is not there yet. Processes that ask at once fetch once.
 * Throws EmbeddedKafkaError; the reason of the signal when that ends it.
 */
export const kafkaJars = async (options: FetchOptions): Promise<string> => {
  checkJars();
  if (isWhole(jarsFolder())) return jarsFolder();
  const folder = cacheFolder();
  ensureFolder(folder);
  const signal = AbortSignal.any([AbortSignal.timeout(fetchMsMax), ...(options.signal ? [options.signal] : [])]);
  try {
    const lock = await untilOurTurn(folder, options, signal);
    try {
      if (lock && !isWhole(jarsFolder())) await fetchJars(folder, options, signal);
    } finally {
      lock?.release();
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  }
  return jarsFolder();
};
