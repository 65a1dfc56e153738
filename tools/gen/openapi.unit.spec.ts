import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '@pca/errors';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { openapiOf } from './openapi.ts';

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, { $ref?: string; description?: string }> }>>;
  components: { responses: Record<string, { description: string }> };
}

const ok = { description: 'It is there', content: { 'application/json': { schema: z.object({ id: z.uuid() }).meta({ id: 'Thing' }) } } };
const things: ZodOpenApiPathsObject = {
  '/v1/things/{id}': { get: { requestParams: { path: z.object({ id: z.uuid() }) }, responses: { 200: ok } } },
  '/v1/things': {
    get: { security: [], responses: { 200: ok } },
    post: {
      requestBody: { content: { 'application/json': { schema: z.object({ name: z.string() }) } } },
      responses: { 201: ok, 429: { description: 'of its own' } },
    },
  },
};
const openapi = (services: [string, ZodOpenApiPathsObject][]): Document => openapiOf('1.2.3', new Map(services)) as unknown as Document;

describe('openapiOf', () => {
  it('is a valid OpenAPI 3.1 document, and the validator refuses a broken one', async () => {
    expect(await new Validator().validate({ ...openapi([['things', things]]) })).toEqual({ valid: true });
    expect(await new Validator().validate({ ...openapi([['things', things]]), paths: { 'no-slash': { get: 1 } } })).toMatchObject({
      valid: false,
    });
  });

  it('is valid as committed, over all services', async () => {
    const committed = JSON.parse(readFileSync(join(import.meta.dirname, '../../docs/openapi.json'), 'utf8')) as Document;
    expect(await new Validator().validate({ ...committed })).toEqual({ valid: true });
    expect(Object.keys(committed.paths)).toContain('/v1/campaigns');
  });

  it('gives every operation the problems that may meet it, unless the service says otherwise', () => {
    const { paths } = openapi([['things', things]]);
    expect(Object.keys(paths['/v1/things/{id}']?.['get']?.responses ?? {})).toEqual([
      '200',
      '400',
      '401',
      '403',
      '404',
      '429',
      '500',
      '502',
      '503',
      '504',
    ]);
    expect(Object.keys(paths['/v1/things']?.['get']?.responses ?? {})).toEqual(['200', '400', '429', '500', '502', '503', '504']);
    const post = paths['/v1/things']?.['post']?.responses;
    expect(post?.['413']).toEqual({ $ref: '#/components/responses/Problem413' });
    const shape = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
    expect(post?.['429']).toEqual({ description: 'of its own', content: shape });
  });

  it('describes a status by every code of the catalogue that has it', () => {
    const described = openapi([['things', things]]).components.responses;
    for (const [code, { status }] of Object.entries(errorCatalogue)) {
      const response = described[`Problem${status}`];
      if (response) expect(response.description).toContain(`${code}: `);
    }
    expect(Object.keys(described).length).toBeGreaterThan(10);
  });

  it('refuses a path that two services claim, and lists paths in order', () => {
    expect(() =>
      openapi([
        ['a', things],
        ['b', things],
      ]),
    ).toThrow('/v1/things/{id} is described by both a and b');
    expect(Object.keys(openapi([['things', things]]).paths)).toEqual(['/v1/things', '/v1/things/{id}']);
  });
});
