/** Why a broker of our own cannot be had: each is something that a person can act on. */
export type EmbeddedKafkaFault =
  'JAVA_MISSING' | 'JAVA_TOO_OLD' | 'MAVEN_MISSING' | 'FETCH_FAILED' | 'FOLDER_IN_USE' | 'PORT_TAKEN' | 'DISK_FULL' | 'START_FAILED';

/** The message is one line that says what to do; the last words of the broker or of Maven, when there are any, are in `log`. */
export class EmbeddedKafkaError extends Error {
  override readonly name = 'EmbeddedKafkaError';

  constructor(
    readonly fault: EmbeddedKafkaFault,
    message: string,
    readonly log: readonly string[] = [],
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** What every message about a missing part ends with. */
export const howToGetOne = 'install a Java runtime 17 or newer and Maven, or set KAFKA_BROKERS to a Kafka broker';
