export { type AnalyticsRange, decodeAnalyticsId, encodeAnalyticsId } from './analytics-id.js';
export {
  defineEvent,
  eventDefinitionOf,
  eventDefinitions,
  makeCheckedEvent,
  makeEvent,
  parseEvent,
  unknownEvent,
  type EventContext,
  type EventDefinition,
} from './define-event.js';
export { envelopeSchema, workspaceIdSchema, type BusMessage, type EventEnvelope } from './envelope.js';
export {
  type BehaviourContext,
  behaviourContextSchema,
  behaviourLimits,
  behaviourTopic,
  bulkTopics,
  eventTracked,
  sessionEnded,
  sessionStarted,
  type IdentifiedUser,
  type TrackedEvent,
  userErased,
  userIdentified,
} from './behaviour-events.js';
export {
  campaignCreated,
  campaignDeleted,
  campaignSnapshotSchema,
  campaignsTopic,
  campaignUpdated,
  performanceRecorded,
  workspaceUpdated,
} from './campaign-events.js';
export { deadLetter, deadLetterRedriven, deadLetterTopicOf, isDeadLetterTopic } from './dead-letter.js';
export { isRole, roleScopes, scopes, tokenClaimsSchema, type Principal, type Role, type Scope } from './scopes.js';
