import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { asMyself, dieWithParent } from '@pca/embedded-postgres';
import { EmbeddedKafkaError } from '../embedded-kafka-error.js';
import { mavenEnv } from '../env.js';
import type { Java } from './find-java.js';

export const kafkaVersion = '4.3.1';

/** All that is asked for; what these need in turn is fixed by their own poms, and each file is checked against its checksum. */
const pom = `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local.pca</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${kafkaVersion}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
      <scope>runtime</scope>
    </dependency>
  </dependencies>
</project>
`;

const copyJars = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
const keptLines = 50;

interface MavenOptions {
  readonly java: Java;
  /** Gets the jars, and holds Maven's input meanwhile. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** A file has arrived. */
  readonly onDownload: () => void;
}

/** Puts Kafka and all that it needs into a folder. Throws EmbeddedKafkaError. */
export const runMaven = async ({ java, folder, signal, onDownload }: MavenOptions): Promise<void> => {
  const pomFile = join(folder, 'pom.xml');
  writeFileSync(pomFile, pom);
  const args = ['-B', '-C', '-f', pomFile, copyJars, '-DincludeScope=runtime', `-DoutputDirectory=${folder}`];
  const { file, args: all } = await dieWithParent(asMyself, 'KILL', 'mvn', args);
  const lines: string[] = [];
  const code = await new Promise<number | null>((resolve) => {
    const maven = spawn(file, all, { cwd: folder, env: mavenEnv(java.home), stdio: ['ignore', 'pipe', 'pipe'], signal });
    for (const stream of [maven.stdout, maven.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        if (/^(\[INFO\] )?Downloaded /.test(line)) return onDownload();
        lines.push(line);
        if (lines.length > keptLines) lines.shift();
      });
    // 'close' follows in any case.
    maven.on('error', (error) => lines.push(`[ERROR] ${error.message}`));
    maven.on('close', resolve);
  });
  rmSync(pomFile);
  if (code === 0) return;
  const reason = lines.find((line) => line.startsWith('[ERROR]'))?.slice('[ERROR] '.length) ?? lines.at(-1) ?? `Maven ended with ${code}`;
  throw new EmbeddedKafkaError(
    'FETCH_FAILED',
    `Kafka could not be fetched (${reason}): try again, or set KAFKA_BROKERS to a Kafka broker`,
    lines,
  );
};
