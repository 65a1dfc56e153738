import DataLoader from 'dataloader';
import type { GraphqlContext } from '../auth/require-scope.js';

/** The DataLoader of this name in this request: the keys that a request asks for become one batch of at most 500. */
export const loaderOf = <K, V>(
  context: GraphqlContext,
  name: string,
  load: (keys: readonly K[]) => Promise<readonly V[]>,
): DataLoader<K, V> => {
  const known = context.loaders.get(name) as DataLoader<K, V> | undefined;
  if (known) return known;
  const loader = new DataLoader<K, V>(load, { maxBatchSize: 500 });
  context.loaders.set(name, loader);
  return loader;
};
