export { createClient, type NodeOptions } from './node/create-client.js';
export type { AnalyticsEvent, Client, ClientOptions, EventOptions, Properties, SdkError } from './core/client-types.js';
