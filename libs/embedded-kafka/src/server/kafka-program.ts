import { join } from 'node:path';
import { asMyself, type Command, dieWithParent } from '@pca/embedded-postgres';
import type { Java } from '../fetch/find-java.js';

/** What runs Kafka here. */
export interface KafkaProgram {
  readonly java: Java;
  /** The folder of its jars. */
  readonly jars: string;
}

/** Small and quick to start, for a broker beside other programs; without memory it ends, and its owner knows. */
const javaFlags = [
  '-Xms64m',
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
];

/**
 * The command that runs a class of Kafka, which gets the signal when its parent is gone, where the system can do that. Java finds no path
 * with letters beyond ASCII in a locale without them, which is what a program started by the system often has.
 */
export const kafkaCommand = (
  { java, jars }: KafkaProgram,
  signal: 'INT' | 'KILL',
  logFile: string,
  mainClass: string,
  args: readonly string[],
): Promise<Command> => {
  const all = [...javaFlags, `-Dlog4j2.configurationFile=${logFile}`, '-cp', join(jars, '*'), mainClass, ...args];
  return dieWithParent(asMyself, signal, 'env', ['LC_ALL=C.UTF-8', java.file, ...all]);
};
