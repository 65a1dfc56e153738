import type { SdkError } from './client-types.js';

const namedMax = 3;

const warn = ({ code, message, events }: SdkError): void => {
  const names = events.slice(0, namedMax).map(({ event, type }) => `"${event ?? type}"`);
  const lost = names.length ? ` (lost: ${names.join(', ')}${events.length > namedMax ? `, … ${events.length} in all` : ''})` : '';
  // eslint-disable-next-line no-console -- what is lost without a word is never missed until it is needed
  console.warn(`@pca/sdk: ${code}: ${message}${lost}`);
};

/** Reports outside of the work that failed: a callback that throws breaks its own program's rules, not the queue. */
export const reporter =
  (onError: (error: SdkError) => void = warn) =>
  (error: SdkError): void =>
    queueMicrotask(() => onError(error));
