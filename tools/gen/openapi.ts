import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorCatalogue, type ErrorCode } from '@pca/errors';
import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathItemObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi';

const methods = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const;
const codes = Object.keys(errorCatalogue) as ErrorCode[];
const anyStatus = [400, 401, 403, 429, 500, 502, 503, 504];
const bodyStatus = [408, 409, 413, 415];

/** The REST routes that each built service describes in its dist/openapi.js, by service. */
export const pathsOfServices = async (root: string): Promise<Map<string, ZodOpenApiPathsObject>> => {
  const found = new Map<string, ZodOpenApiPathsObject>();
  for (const name of readdirSync(join(root, 'services')).sort()) {
    const file = join(root, 'services', name, 'dist/openapi.js');
    if (!existsSync(file)) continue;
    const { paths } = (await import(pathToFileURL(file).href)) as { paths: ZodOpenApiPathsObject };
    found.set(name, paths);
  }
  return found;
};

/**
 * One OpenAPI 3.1 document over all services. Every operation gets the problems that may meet it, from the error catalogue,
 * where the service has not described an answer of that status itself.
 */
export const openapiOf = (version: string, services: ReadonlyMap<string, ZodOpenApiPathsObject>): object =>
  createDocument({
    openapi: '3.1.0',
    info: {
      title: 'PCA Agent REST API',
      version,
      description:
        'REST over the same services as the graph at /graphql. Errors are application/problem+json with a stable `code`; see docs/errors.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    paths: withProblems(merged(services)),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        ingestKey: {
          type: 'http',
          scheme: 'basic',
          description: 'A write-only ingest key as the user, without a password; it may be the bearer too',
        },
      },
    },
  });

const merged = (services: ReadonlyMap<string, ZodOpenApiPathsObject>): ZodOpenApiPathsObject => {
  const owners = new Map<string, string>();
  const all: [string, ZodOpenApiPathItemObject][] = [];
  for (const [service, paths] of services) {
    for (const [path, item] of Object.entries(paths)) {
      const owner = owners.get(path);
      if (owner) throw new Error(`${path} is described by both ${owner} and ${service}`);
      owners.set(path, service);
      all.push([path, item as ZodOpenApiPathItemObject]);
    }
  }
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
};

const withProblems = (paths: ZodOpenApiPathsObject): ZodOpenApiPathsObject =>
  Object.fromEntries(
    Object.entries(paths).map(([path, item]) => {
      const changed = { ...(item as ZodOpenApiPathItemObject) };
      for (const method of methods) {
        const operation = changed[method];
        if (operation) changed[method] = { ...operation, responses: { ...problemsOf(path, operation), ...ownOf(operation) } };
      }
      return [path, changed];
    }),
  );

/** What a service says of an operation's answers; of a refusal it may say only when that comes, for all have one shape. */
const ownOf = ({ responses: own }: ZodOpenApiOperationObject): ZodOpenApiOperationObject['responses'] =>
  Object.fromEntries(
    Object.entries(own).map(([status, response]: [string, ZodOpenApiResponseObject]) => [
      status,
      Number(status) < 400 ? response : { content: problemContent, ...response },
    ]),
  );

const problemsOf = (path: string, operation: ZodOpenApiOperationObject): ZodOpenApiOperationObject['responses'] => {
  const open = operation.security?.length === 0;
  const statuses = [...anyStatus, ...(path.includes('{') ? [404] : []), ...(operation.requestBody ? bodyStatus : [])];
  return Object.fromEntries(
    statuses.filter((status) => !open || (status !== 401 && status !== 403)).map((status) => [String(status), problemResponse(status)]),
  );
};

const responses = new Map<number, ZodOpenApiResponseObject>();

/** One shared response for each status, listing the codes of the catalogue that have it. */
const problemResponse = (status: number): ZodOpenApiResponseObject => {
  const known = responses.get(status);
  if (known) return known;
  const listed = codes.filter((code) => errorCatalogue[code].status === status);
  const response: ZodOpenApiResponseObject = {
    id: `Problem${status}`,
    description: listed.map((code) => `${code}: ${errorCatalogue[code].title}.`).join(' '),
    content: problemContent,
  };
  responses.set(status, response);
  return response;
};

const problemSchema = z
  .object({
    type: z.string().describe('urn:pca-agent:error: and the code'),
    title: z.string(),
    status: z.int(),
    code: z.enum(codes),
    detail: z.string(),
    instance: z.string().optional().describe('Id of the request, as in the x-request-id header'),
  })
  .loose()
  .meta({ id: 'Problem', description: 'RFC 9457 problem details with a stable code; further members depend on the code.' });

const problemContent = { 'application/problem+json': { schema: problemSchema } };
