import { z } from 'zod';
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { campaignStatuses } from './campaigns/campaign.js';
import { currencySchema, dayOrInstantSchema } from './campaigns/campaign-input.js';
import { fileContentTypes } from './imports/accept-files.js';

const metricFields = {
  impressions: z.number(),
  clicks: z.number(),
  spend: z.number().describe('In units of the currency'),
  conversions: z.number(),
  conversionValue: z.number().describe('In units of the currency'),
  ctr: z.number().nullable().describe('clicks / impressions, a fraction; null over zero'),
  cpc: z.number().nullable(),
  cpm: z.number().nullable(),
  cpa: z.number().nullable(),
  cvr: z.number().nullable(),
  roas: z.number().nullable(),
};
const day = z.iso.date();
const campaign = z
  .object({
    id: z.uuid(),
    externalId: z.string().nullable(),
    name: z.string(),
    platform: z.string(),
    status: z.enum(campaignStatuses),
    objective: z.string().nullable(),
    vertical: z.string().nullable(),
    currency: z.string(),
    dailyBudget: z.number().nullable(),
    startDate: day,
    endDate: day.nullable(),
    version: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    ...metricFields,
  })
  .meta({ id: 'Campaign' });
const point = z.object({ date: day, ...metricFields }).meta({ id: 'PerformancePoint' });

const createBody = z.object({
  name: z.string().max(256),
  platform: z.string().max(64),
  currency: z.string().length(3),
  status: z.enum(campaignStatuses).optional(),
  objective: z.string().max(64).nullish(),
  vertical: z.string().max(64).nullish(),
  dailyBudget: z.number().nonnegative().nullish(),
  startDate: day,
  endDate: day.nullish(),
});
const updateBody = createBody.omit({ platform: true, currency: true }).partial().extend({ expectedVersion: z.int().positive() });
const row = z.object({
  campaignId: z.uuid(),
  date: dayOrInstantSchema,
  breakdown: z
    .array(z.object({ name: z.string(), value: z.string() }))
    .max(10)
    .optional(),
  impressions: z.number().optional(),
  clicks: z.number().optional(),
  spend: z.number().optional(),
  conversions: z.number().optional(),
  conversionValue: z.number().optional(),
});
const report = z.object({
  importId: z.uuid(),
  state: z.enum(['READING', 'MERGING', 'DONE', 'FAILED']),
  report: z
    .object({
      bytesRead: z.int(),
      rows: z.int().describe('Rows that were taken in'),
      rejected: z.int(),
      rejectedRows: z.array(z.object({ line: z.int(), column: z.string().nullable(), value: z.string(), reason: z.string() })).max(1000),
      summedRows: z.int().describe('Rows that share campaign, day and breakdown with another row of the file; they were added up'),
      changedRows: z.int().describe('Stored rows that say something new; 0 for a repeat'),
      campaignsMerged: z.int(),
      campaignsCreated: z.int(),
      campaignsTotal: z.int(),
    })
    .loose(),
});

const path = z.object({ id: z.uuid() });
const idempotencyKey = z.object({ 'idempotency-key': z.string().max(256).optional().describe('The same key within 24 hours: done once') });
const json = (schema: z.ZodType, description: string) => ({ description, content: { 'application/json': { schema } } });
const body = (schema: z.ZodType) => ({ required: true, content: { 'application/json': { schema } } });
const range = {
  from: dayOrInstantSchema.optional(),
  to: dayOrInstantSchema.optional(),
  interval: z.enum(['DAY', 'WEEK', 'MONTH']).optional(),
};
const listQuery = z.object({
  ids: z.string().optional().describe('Up to 200 ids, separated by commas'),
  platform: z.string().optional(),
  status: z.enum(campaignStatuses).optional(),
  objective: z.string().optional(),
  vertical: z.string().optional(),
  currency: currencySchema.optional(),
  search: z.string().optional(),
  from: dayOrInstantSchema.optional(),
  to: dayOrInstantSchema.optional(),
  min_spend: z.number().optional(),
  max_spend: z.number().optional(),
  min_ctr: z.number().optional(),
  max_ctr: z.number().optional(),
  min_conversions: z.number().optional(),
  orderBy: z.string().optional().describe('Field and direction, such as spend:desc'),
  first: z.int().min(1).max(200).optional(),
  after: z.string().optional().describe('endCursor of the page before'),
});
const importQuery = z.object({
  format: z.enum(['generic']).optional(),
  platform: z.string().optional(),
  currency: z.string().optional(),
  map: z.string().optional().describe('field=column,…'),
  breakdown: z.string().optional().describe('Columns that tell rows of a day apart, separated by commas'),
  dateFormat: z.string().optional(),
  delimiter: z.string().optional(),
  encoding: z.string().optional(),
  decimal: z.string().optional(),
});

const tagged = (operation: ZodOpenApiOperationObject): ZodOpenApiOperationObject => ({ tags: ['campaigns'], ...operation });

/** REST routes of this service, for the one OpenAPI document. */
export const paths: ZodOpenApiPathsObject = {
  '/v1/campaigns': {
    get: tagged({
      operationId: 'listCampaigns',
      summary: 'Campaigns with their sums, by filter and order, in pages',
      requestParams: { query: listQuery },
      responses: {
        200: json(z.object({ campaigns: z.array(campaign), hasNextPage: z.boolean(), endCursor: z.string().nullable() }), 'A page'),
      },
    }),
    post: tagged({
      operationId: 'createCampaign',
      summary: 'Creates a campaign',
      requestParams: { header: idempotencyKey },
      requestBody: body(createBody),
      responses: { 201: json(campaign, 'Created; Location names it') },
    }),
  },
  '/v1/campaigns/{id}': {
    get: tagged({
      operationId: 'getCampaign',
      summary: 'One campaign',
      requestParams: { path },
      responses: { 200: json(campaign, 'The campaign') },
    }),
    patch: tagged({
      operationId: 'updateCampaign',
      summary: 'Changes a campaign: what is absent stays, null clears',
      requestParams: { path, header: idempotencyKey },
      requestBody: body(updateBody),
      responses: { 200: json(campaign, 'As it is now') },
    }),
    delete: tagged({
      operationId: 'deleteCampaign',
      summary: 'Deletes a campaign',
      requestParams: { path },
      responses: { 204: { description: 'It is gone' } },
    }),
  },
  '/v1/campaigns/{id}/performance': {
    get: tagged({
      operationId: 'getPerformance',
      summary: 'Series of a campaign',
      requestParams: { path, query: z.object(range) },
      responses: { 200: json(z.array(point), 'One point for each bucket') },
    }),
  },
  '/v1/campaigns/performance': {
    post: tagged({
      operationId: 'recordPerformance',
      summary: 'Records or restates days; all rows or none',
      requestParams: { header: idempotencyKey },
      requestBody: body(z.object({ rows: z.array(row).min(1).max(1000) })),
      responses: { 200: json(z.object({ recorded: z.int(), changed: z.int() }), 'What was new') },
    }),
  },
  '/v1/campaigns/metrics': {
    get: tagged({
      operationId: 'getMetrics',
      summary: 'Totals and series of the workspace, one currency at a time',
      requestParams: {
        query: z.object({ ...range, platform: z.string().optional(), currency: z.string().optional(), timeZone: z.string().optional() }),
      },
      responses: {
        200: json(
          z.object({
            id: z.string(),
            from: day,
            to: day,
            platform: z.string().nullable(),
            currency: z.string(),
            totals: z.object(metricFields),
            series: z.array(point),
          }),
          'Totals and series',
        ),
      },
    }),
  },
  '/v1/imports': {
    post: tagged({
      operationId: 'importPerformance',
      summary: 'Imports a file of ad performance; the body is the file',
      description:
        'With Accept: application/x-ndjson the answer is a line of progress now and then, and the report or the problem as the last line.',
      requestParams: { query: importQuery },
      requestBody: {
        required: true,
        content: Object.fromEntries(fileContentTypes.map((type) => [type, { schema: z.string().meta({ format: 'binary' }) }])),
      },
      responses: {
        200: json(report, 'What was taken in and what was not'),
        422: { description: 'The file cannot be read as ad performance' },
      },
    }),
  },
  '/v1/imports/{id}': {
    get: tagged({
      operationId: 'getImport',
      summary: 'State and report of an import',
      requestParams: { path },
      responses: { 200: json(report, 'The import') },
    }),
  },
};
