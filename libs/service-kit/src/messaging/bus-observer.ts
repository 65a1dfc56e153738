import type { EventBusObserver } from '@pca/event-bus';
import type { Logger } from '../observability/logger.js';
import { boundedLabel, counter, histogram } from '../observability/metrics.js';

const published = counter('pca_bus_published_total', 'Messages that the bus has confirmed', ['topic']);
const publishFailed = counter('pca_bus_publish_failed_total', 'Messages that the bus has not confirmed', ['topic']);
const publishSeconds = histogram('pca_bus_publish_seconds', 'Time of a batch from being sent to being confirmed', ['topic']);
const delivered = counter('pca_bus_delivered_total', 'Messages whose handling has ended, by outcome', ['group', 'topic', 'outcome']);
const handlerSeconds = histogram('pca_bus_handler_seconds', 'Time of a call to a handler', ['group', 'topic']);
const retries = counter('pca_bus_retries_total', 'Calls to a handler that failed and are repeated', ['group', 'topic']);
const deadLetters = counter('pca_bus_dead_letters_total', 'Messages that a group gave up', ['group', 'topic']);
const missed = counter('pca_bus_missed_total', 'Messages that retention took before a group had handled them', ['group', 'topic']);
const capped = counter('pca_bus_capped_bytes_total', 'Bytes that the cap of the log dropped while somebody wanted them');
const connectionsLost = counter('pca_bus_connections_lost_total', 'Connections to the bus that broke or could not be made');

const topicLabel = boundedLabel(200);

/** What the bus does, as metrics and in the log: ERROR where a person must act, since nobody else will. */
export const busObserver = (logger: Logger): EventBusObserver => ({
  published: (name, messages, seconds) => {
    const topic = topicLabel(name);
    published.inc({ topic }, messages);
    publishSeconds.observe({ topic }, seconds);
  },
  publishFailed: (name, messages) => publishFailed.inc({ topic: topicLabel(name) }, messages),
  delivered: (group, name, outcome, messages, seconds) => {
    const topic = topicLabel(name);
    delivered.inc({ group, topic, outcome }, messages);
    handlerSeconds.observe({ group, topic }, seconds);
  },
  retrying: (retry, err) => {
    retries.inc({ group: retry.group, topic: topicLabel(retry.topic) });
    logger.warn({ err, ...retry }, 'messages could not be handled; they are tried again');
  },
  deadLettered: (group, topic, reason) => {
    deadLetters.inc({ group, topic: topicLabel(topic) });
    logger.error({ group, topic, reason }, 'a message was given up and waits among the dead letters');
  },
  missed: (group, topic, messages) => {
    missed.inc({ group, topic: topicLabel(topic) }, messages);
    logger.error({ group, topic, messages }, 'retention took messages that the group had not handled');
  },
  capped: (droppedBytes, bytesMax) => {
    capped.inc(droppedBytes);
    logger.error({ droppedBytes, bytesMax }, 'the log of the bus was over its cap and lost messages that somebody wanted');
  },
  connectionLost: (err) => {
    connectionsLost.inc();
    logger.warn({ err }, 'a connection to the bus was lost');
  },
});
