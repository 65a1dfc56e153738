import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedKafkaError, howToGetOne } from '../embedded-kafka-error.js';
import { javaHome } from '../env.js';

/** What Kafka 4 asks for. */
const javaVersionMin = 17;

export interface Java {
  /** The program, by path or by name. */
  readonly file: string;
  /** The JAVA_HOME that it came from; undefined: from the search path. */
  readonly home: string | undefined;
}

/** 17 of `openjdk version "17.0.15"`, 8 of `java version "1.8.0_292"`; undefined when there is no version in it. */
export const javaVersionOf = (output: string): number | undefined => {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(output) ?? [];
  return first === undefined ? undefined : Number(first === '1' ? second : first);
};

const versionOf = async ({ file }: Java): Promise<number | undefined> => {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, ['-version'], { timeout: 20_000 });
    return javaVersionOf(`${stderr}\n${stdout}`);
  } catch {
    return undefined;
  }
};

/** The first Java that is new enough: of JAVA_HOME, then of the search path. Throws EmbeddedKafkaError. */
export const findJava = async (): Promise<Java> => {
  const home = javaHome();
  const places: Java[] = [...(home === undefined ? [] : [{ file: join(home, 'bin', 'java'), home }]), { file: 'java', home: undefined }];
  let found: number | undefined;
  for (const java of places) {
    const version = await versionOf(java);
    if (version !== undefined && version >= javaVersionMin) return java;
    found ??= version;
  }
  throw found === undefined
    ? new EmbeddedKafkaError('JAVA_MISSING', `Kafka needs Java, and there is none: ${howToGetOne}`)
    : new EmbeddedKafkaError('JAVA_TOO_OLD', `Kafka needs Java ${javaVersionMin}, this is Java ${found}: ${howToGetOne}`);
};
