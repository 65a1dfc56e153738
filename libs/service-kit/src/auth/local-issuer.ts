import { createHmac } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Role, roleScopes, workspaceIdSchema } from '@pca/contracts';
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';

/** The workspace that a machine of its own starts with. */
export const localWorkspaceId = 'demo';
export const localIssuerName = 'pca-local';
export const localAudience = 'pca-agent';

const keyId = 'local';
const algorithm = 'ES256';
const privateFileName = 'private.jwk.json';

export interface TokenRequest {
  role: Role;
  workspace?: string;
  ttlSeconds?: number;
  subject?: string;
}

export interface LocalIssuer {
  readonly issuer: string;
  readonly audience: string;
  /** Path of the public key set. */
  readonly jwksFile: string;
  issue(request: TokenRequest): Promise<string>;
}

/**
 * A key pair in a folder as the token issuer of one machine: the private key is readable by its owner alone, the public one is a JWKS file.
 * Made on first use. Never for production: whoever reads the folder may sign any token.
 */
export const ensureLocalIssuer = async (folder: string): Promise<LocalIssuer> => {
  const privateFile = join(folder, privateFileName);
  const jwksFile = join(folder, 'jwks.json');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const jwk = (await readJwk(privateFile)) ?? (await makeKey(privateFile));
  const { d: _private, ...publicJwk } = jwk;
  await replaceFile(jwksFile, JSON.stringify({ keys: [publicJwk] }, null, 2), 0o644);
  const key = await importJWK(jwk, algorithm);
  return {
    issuer: localIssuerName,
    audience: localAudience,
    jwksFile,
    issue: ({ role, workspace = localWorkspaceId, ttlSeconds = 3600, subject = `local-${role}` }) =>
      new SignJWT({ workspace: workspaceIdSchema.parse(workspace), scope: roleScopes[role].join(' ') })
        .setProtectedHeader({ alg: algorithm, kid: keyId })
        .setSubject(subject)
        .setIssuer(localIssuerName)
        .setAudience(localAudience)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + ttlSeconds)
        .sign(key),
  };
};

/** A secret of the local issuer for one purpose, the same as long as its key pair; `jwksFile` as in LocalIssuer. */
export const localSecret = async (jwksFile: string, purpose: string): Promise<Buffer> => {
  const { d } = (await readJwk(join(dirname(jwksFile), privateFileName))) ?? {};
  if (!d) throw new Error('The local issuer has no key');
  return createHmac('sha256', d).update(purpose).digest();
};

const readJwk = async (file: string): Promise<JWK | undefined> => {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as JWK;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

const makeKey = async (file: string): Promise<JWK> => {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), kid: keyId, alg: algorithm, use: 'sig' };
  await replaceFile(file, JSON.stringify(jwk), 0o600);
  return jwk;
};

/** By rename, so that a kill in between leaves the old file or the new one, never half of one. */
const replaceFile = async (file: string, text: string, mode: number): Promise<void> => {
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, text, { mode });
  await rename(temporary, file);
};
