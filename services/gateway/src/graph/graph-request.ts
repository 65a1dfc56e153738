import { DomainError } from '@pca/errors';

/** What a POST to /graphql may hold; other members are ignored, as the specification of GraphQL over HTTP wants it. */
export interface GraphParameters {
  query: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Throws BAD_USER_INPUT for anything that is not one operation. */
export const readGraphParameters = (body: unknown): GraphParameters => {
  if (Array.isArray(body)) throw new DomainError('BAD_USER_INPUT', 'Batches are not answered; send one operation at a time');
  if (!isRecord(body)) throw new DomainError('BAD_USER_INPUT', 'The body must be a JSON object');
  const { query, operationName, variables } = body;
  if (typeof query !== 'string' || query.trim() === '') throw new DomainError('BAD_USER_INPUT', '"query" must be a text that is not empty');
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string')
    throw new DomainError('BAD_USER_INPUT', '"operationName" must be a text');
  if (variables !== undefined && variables !== null && !isRecord(variables))
    throw new DomainError('BAD_USER_INPUT', '"variables" must be an object');
  return { query, operationName: operationName || undefined, variables: variables ?? {} };
};

const simpleTypes = /^(text\/plain|application\/x-www-form-urlencoded|multipart\/form-data)\b/i;

/**
 * Only JSON is read: a page of another origin cannot send that without asking first, and nobody here says yes. Throws CSRF_REFUSED for what
 * it can send, and UNSUPPORTED_MEDIA_TYPE for the rest.
 */
export const requireJson = (contentType: string | undefined): void => {
  if (contentType === undefined || simpleTypes.test(contentType)) {
    throw new DomainError(
      'CSRF_REFUSED',
      'A GraphQL request must have the content type application/json, which other pages cannot send unasked',
    );
  }
  if (!/^application\/json\s*(;|$)/i.test(contentType))
    throw new DomainError('UNSUPPORTED_MEDIA_TYPE', 'A GraphQL request must have the content type application/json');
};
