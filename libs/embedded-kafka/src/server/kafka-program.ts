import { join } from 'node:path';
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

/** Arguments for Java that run a class of Kafka. */
export const kafkaArguments = ({ jars }: KafkaProgram, logFile: string, mainClass: string, args: readonly string[]): string[] => [
  ...javaFlags,
  `-Dlog4j2.configurationFile=${logFile}`,
  '-cp',
  join(jars, '*'),
  mainClass,
  ...args,
];
