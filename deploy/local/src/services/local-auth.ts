import type { LocalIssuer } from '@pca/service-kit';
import type { DataPaths } from '../data/data-folder.js';
import type { LocalAuth } from './service-environment.js';

/** What services are told of the local issuer. */
export const localAuth = async ({ jwksFile, issuer, audience }: LocalIssuer, paths: DataPaths): Promise<LocalAuth> => {
  const { localSecret } = await import('@pca/service-kit');
  const usageSalt = (await localSecret(jwksFile, 'usage of the gateway')).toString('hex');
  return { jwksFile, issuer, audience, tokenFile: paths.token, usageSalt };
};
