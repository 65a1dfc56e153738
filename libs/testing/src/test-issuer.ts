import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureLocalIssuer, type LocalIssuer } from '@pca/service-kit';

export interface TestIssuer extends LocalIssuer {
  /** The environment with which a service trusts this issuer. */
  readonly env: { AUTH_JWKS_FILE: string; AUTH_ISSUER: string; AUTH_AUDIENCE: string };
  remove(): Promise<void>;
}

/** A token issuer of a test's own, with a key that nobody else trusts. */
export const testIssuer = async (): Promise<TestIssuer> => {
  const folder = await mkdtemp(join(tmpdir(), 'pca-issuer-'));
  const issuer = await ensureLocalIssuer(folder);
  return {
    ...issuer,
    env: { AUTH_JWKS_FILE: issuer.jwksFile, AUTH_ISSUER: issuer.issuer, AUTH_AUDIENCE: issuer.audience },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
};
