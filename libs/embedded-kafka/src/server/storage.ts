import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Command, type ProcessIdentity, writeWhole } from '@pca/embedded-postgres';
import { EmbeddedKafkaError } from '../embedded-kafka-error.js';
import { kafkaCommand, type KafkaProgram } from './kafka-program.js';
import { logProperties, serverProperties, type ServerPropertiesInput } from './server-properties.js';

/** The folder that Kafka itself owns, inside ours. */
const logDir = (dataDir: string): string => join(dataDir, 'data');
const logFile = (dataDir: string): string => join(dataDir, 'log4j2.properties');

/** What a start leaves for the next one. */
export interface StartRecord {
  readonly port: number;
  readonly controllerPort: number;
  /** Who ran the broker, and the broker. */
  readonly keeper: ProcessIdentity | undefined;
  readonly server: ProcessIdentity | undefined;
}

export const rememberStart = (dataDir: string, record: StartRecord): void =>
  writeWhole(join(dataDir, 'start.json'), JSON.stringify(record));

export const rememberedStart = (dataDir: string): StartRecord | undefined => {
  const path = join(dataDir, 'start.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as StartRecord) : undefined;
};

/** What of the broker's words tells the cause. */
export const faultOf = (log: readonly string[], dataDir: string): EmbeddedKafkaError => {
  const text = log.join('\n');
  if (/No space left on device/.test(text)) return new EmbeddedKafkaError('DISK_FULL', `No space left on the disk of ${dataDir}`, log);
  if (/Address already in use/.test(text)) return new EmbeddedKafkaError('PORT_TAKEN', 'A port for Kafka was taken meanwhile', log);
  const exception = log
    .map((line) => /(?:^|\s)(?:\w+\.)+(\w+(?:Exception|Error): .+)$/.exec(line)?.[1])
    .find((message) => message !== undefined);
  const telling = exception ?? log.find((line) => / (FATAL|ERROR) /.test(line)) ?? log.at(-1) ?? 'it said nothing';
  return new EmbeddedKafkaError('START_FAILED', `Kafka did not start: ${telling}`, log);
};

/** Kafka's own form of an id: 22 characters, of which the first is no dash, for that would be an option. */
const clusterId = (): string => {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? clusterId() : id;
};

type Settings = Omit<ServerPropertiesInput, 'logDir'>;

/**
 * Makes the storage unless it is there. It is made aside and renamed, so that an end at any moment leaves a whole one or none. The users
 * of SCRAM are written into it and cannot be changed afterwards.
 */
export const ensureStorage = async (
  dataDir: string,
  program: KafkaProgram,
  settings: Settings,
  scramUsers: Readonly<Record<string, string>>,
): Promise<void> => {
  for (const left of readdirSync(dataDir).filter((name) => name.startsWith('unfinished-')))
    rmSync(join(dataDir, left), { recursive: true, force: true });
  writeFileSync(logFile(dataDir), logProperties);
  if (existsSync(logDir(dataDir))) return;
  const unfinished = join(dataDir, `unfinished-${process.pid}`);
  const properties = `${unfinished}.properties`;
  writeFileSync(properties, serverProperties({ ...settings, logDir: unfinished }), { mode: 0o600 });
  const users = Object.entries(scramUsers).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => ['--add-scram', `${mechanism}=[name=${name},password=${password}]`]),
  );
  const format = ['format', '-t', clusterId(), '-c', properties, ...users];
  const { file, args } = await kafkaCommand(program, 'KILL', logFile(dataDir), 'kafka.tools.StorageTool', format);
  try {
    await promisify(execFile)(file, [...args]);
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw faultOf(
      `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== ''),
      dataDir,
    );
  } finally {
    rmSync(properties, { force: true });
  }
  renameSync(unfinished, logDir(dataDir));
};

/** The command that runs the broker; writes its settings. */
export const brokerCommand = (dataDir: string, program: KafkaProgram, settings: Settings): Promise<Command> => {
  const properties = join(dataDir, 'server.properties');
  writeFileSync(properties, serverProperties({ ...settings, logDir: logDir(dataDir) }), { mode: 0o600 });
  return kafkaCommand(program, 'INT', logFile(dataDir), 'kafka.Kafka', [properties]);
};
