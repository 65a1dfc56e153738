import { readFile } from 'node:fs/promises';
import { hash } from 'node:crypto';
import { type Principal, tokenClaimsSchema } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { LRUCache } from 'lru-cache';

export interface VerifierOptions {
  issuer: string;
  audience: string;
  jwksUrl?: string | undefined;
  jwksFile?: string | undefined;
}

/** Asymmetric algorithms only: `none` and HMAC with a public key as secret are refused by name. */
const algorithms = ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'];
const verifiedMax = 10_000;
const tokenLengthMax = 8_192;
/** A key that its issuer withdraws is trusted no longer than this through the tokens that it signed. */
const rememberedMsMax = 5 * 60_000;

/**
 * Verifies bearer tokens against the issuer's key set. Verified tokens are remembered for five minutes or until they expire, 10,000 at
 * most.
 */
export class TokenVerifier {
  private readonly verified = new LRUCache<string, { principal: Principal; expiresAtMs: number }>({ max: verifiedMax });
  private keys: JWTVerifyGetKey | undefined;

  constructor(private readonly options: VerifierOptions) {}

  /** Throws UNAUTHENTICATED when the header is absent or holds anything but a valid token. */
  async principalOf(authorization: string | undefined): Promise<Principal> {
    const token = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(authorization ?? '')?.[1];
    if (!token || token.length > tokenLengthMax) throw new DomainError('UNAUTHENTICATED', 'A bearer token is required');
    const key = hash('sha256', token, 'base64');
    const known = this.verified.get(key);
    if (known && known.expiresAtMs > Date.now()) return known.principal;
    const { principal, expiresAtMs } = await this.verify(token);
    this.verified.set(key, { principal, expiresAtMs });
    return principal;
  }

  private async verify(token: string): Promise<{ principal: Principal; expiresAtMs: number }> {
    try {
      this.keys ??= await this.loadKeys();
      const { payload } = await jwtVerify(token, this.keys, {
        issuer: this.options.issuer,
        audience: this.options.audience,
        algorithms,
        requiredClaims: ['exp', 'sub'],
      });
      const claims = tokenClaimsSchema.safeParse(payload);
      if (!claims.success) throw new DomainError('UNAUTHENTICATED', 'The token lacks a claim that is needed here');
      const { sub, workspace, scope, exp } = claims.data;
      const principal = { subject: sub, workspaceId: workspace, scopes: new Set(scope.split(' ').filter(Boolean)) };
      return { principal, expiresAtMs: Math.min(exp * 1000, Date.now() + rememberedMsMax) };
    } catch (error) {
      throw refusal(error);
    }
  }

  private async loadKeys(): Promise<JWTVerifyGetKey> {
    const { jwksUrl, jwksFile } = this.options;
    if (jwksUrl) return createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 5_000, cooldownDuration: 10_000 });
    if (!jwksFile) throw new DomainError('SERVICE_UNAVAILABLE', 'No token issuer is configured');
    return createLocalJWKSet(JSON.parse(await readFile(jwksFile, 'utf8')) as Parameters<typeof createLocalJWKSet>[0]);
  }
}

const refusal = (error: unknown): Error => {
  if (error instanceof DomainError) return error;
  if (error instanceof errors.JWTExpired) return new DomainError('UNAUTHENTICATED', 'The token has expired');
  // jose throws its base class when the key set cannot be fetched or read: that says nothing about the token.
  if (
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    (error as { code?: unknown }).code === 'ERR_JOSE_GENERIC'
  )
    return new DomainError('SERVICE_UNAVAILABLE', 'The key set of the token issuer cannot be read', {}, { cause: error });
  if (error instanceof errors.JOSEError) return new DomainError('UNAUTHENTICATED', 'The token is not valid', {}, { cause: error });
  return new DomainError('SERVICE_UNAVAILABLE', 'The key set of the token issuer cannot be read', {}, { cause: error });
};
