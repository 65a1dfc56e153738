export { type BrowserOptions, createClient } from './browser/create-client.js';
export type { AnalyticsEvent, Client, ClientOptions, EventOptions, Properties, SdkError } from './core/client-types.js';
