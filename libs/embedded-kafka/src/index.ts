export { EmbeddedKafkaError, type EmbeddedKafkaFault } from './embedded-kafka-error.js';
export { findJava } from './fetch/find-java.js';
export type { KafkaListener } from './server/server-properties.js';
export { type EmbeddedKafka, embeddedKafkaMissing, type EmbeddedKafkaOptions, startEmbeddedKafka } from './start-embedded-kafka.js';
