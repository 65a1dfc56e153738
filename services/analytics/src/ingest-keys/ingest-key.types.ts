import { Field, ID, InputType, ObjectType } from '@nestjs/graphql';
import type { MadeIngestKey } from './ingest-key.service.js';
import type { IngestKey } from './ingest-key.store.js';

@ObjectType('IngestKey', { description: 'A key with which programs send behaviour events, and which opens nothing else' })
export class IngestKeyType {
  @Field(() => ID) id: string;
  @Field() name: string;
  @Field({ description: 'Its first characters, by which people tell keys apart' }) prefix: string;
  @Field({ description: 'Subject of the token that made it' }) createdBy: string;
  @Field({ description: 'ISO 8601 instant' }) createdAt: string;
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant; from then on another key stands in its place' })
  expiresAt: string | null;
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant' }) revokedAt: string | null;
}

@ObjectType('MadeIngestKey')
export class MadeIngestKeyType {
  @Field({ description: 'The key itself: it is shown this once and kept nowhere' }) key: string;
  @Field(() => IngestKeyType) ingestKey: IngestKeyType;
}

@InputType()
export class CreateIngestKeyInput {
  @Field({ description: 'What people call it: 1 to 256 characters' }) name: string;
}

/** What people see of a key: neither the digest nor the workspace, which is theirs. */
export const ingestKeyTypeOf = ({ id, name, prefix, createdBy, createdAt, expiresAt, revokedAt }: IngestKey): IngestKeyType => ({
  ...{ id, name, prefix, createdBy },
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt?.toISOString() ?? null,
  revokedAt: revokedAt?.toISOString() ?? null,
});

export const madeTypeOf = ({ key, ingestKey }: MadeIngestKey): MadeIngestKeyType => ({ key, ingestKey: ingestKeyTypeOf(ingestKey) });
