import { z } from 'zod';
import { workspaceIdSchema } from './envelope.js';

export const scopes = [
  'campaigns:read',
  'campaigns:write',
  'analytics:read',
  'analytics:write',
  'anomalies:read',
  'anomalies:write',
  'voice:use',
  'workspace:admin',
  'chaos:read',
  'chaos:run',
  'system:read',
] as const;
export type Scope = (typeof scopes)[number];

const viewer: readonly Scope[] = ['campaigns:read', 'analytics:read', 'anomalies:read'];
const analyst: readonly Scope[] = [...viewer, 'voice:use', 'anomalies:write'];
const editor: readonly Scope[] = [...analyst, 'campaigns:write', 'analytics:write'];
const owner: readonly Scope[] = [...editor, 'workspace:admin'];

/** viewer to owner belong to a workspace; sre and admin to the platform, because chaos touches everybody. */
export const roleScopes = {
  viewer,
  analyst,
  editor,
  owner,
  sre: ['chaos:read', 'chaos:run', 'system:read'],
  admin: scopes,
} as const satisfies Record<string, readonly Scope[]>;
export type Role = keyof typeof roleScopes;
export const isRole = (value: string): value is Role => Object.hasOwn(roleScopes, value);

/** Claims that we read from a verified token; `scope` is a space-separated list as in RFC 8693. */
export const tokenClaimsSchema = z.object({
  sub: z.string().min(1).max(256),
  workspace: workspaceIdSchema,
  scope: z.string().max(4096),
  exp: z.number(),
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
});

/** Who is calling: from a verified token only, never from an argument. */
export interface Principal {
  readonly subject: string;
  readonly workspaceId: string;
  readonly scopes: ReadonlySet<string>;
}
