import type { SdkError } from './client-types.js';

const warn = ({ code, message }: SdkError): void => {
  // eslint-disable-next-line no-console -- what is lost without a word is never missed until it is needed
  console.warn(`@pca/sdk: ${code}: ${message}`);
};

/** Reports outside of the work that failed: a callback that throws breaks its own program's rules, not the queue. */
export const reporter =
  (onError: (error: SdkError) => void = warn) =>
  (error: SdkError): void =>
    queueMicrotask(() => onError(error));
