import { z } from 'zod';
import { campaignStatuses } from './campaign.js';
import { canonicalPlatform } from './platform.js';
import { orderFields } from './campaign-order.js';

/** Largest amount of money in an input, units of its currency: micros stay exact integers below it. */
const moneyMax = 1_000_000_000;

/**
 * Text that can be stored and shown: no NUL or other control character, trimmed, composed (NFC). Right-to-left names are names like any
 * other.
 */
export const textSchema = (lengthMax: number) =>
  z
    .string()
    .transform((text) => text.normalize('NFC').trim())
    .pipe(
      z
        .string()
        .min(1)
        .max(lengthMax)
        .refine((text) => !/[\u0000-\u001f\u007f]|\p{Surrogate}/u.test(text), 'must not hold control characters'),
    );

export const moneySchema = z.number().nonnegative().max(moneyMax);
const yearMin = 1990;
const yearMax = 2100;
const withinYears = (text: string): boolean => Number(text.slice(0, 4)) >= yearMin && Number(text.slice(0, 4)) <= yearMax;
const outsideYears = `must lie in the years ${yearMin} to ${yearMax}`;

export const daySchema = z.iso.date().refine(withinYears, outsideYears);
export const dayOrInstantSchema = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], { error: 'must be a day (YYYY-MM-DD) or an ISO 8601 instant' })
  .refine(withinYears, outsideYears);

const currencies = new Set(Intl.supportedValuesOf('currency'));
export const isCurrency = (code: string): boolean => currencies.has(code);
export const currencySchema = z
  .string()
  .transform((text) => text.trim().toUpperCase())
  .refine(isCurrency, 'must be an ISO 4217 currency, such as USD');

export const platformCharsMax = 64;
export const platformSchema = textSchema(platformCharsMax).transform(canonicalPlatform);
const statusSchema = z.enum(campaignStatuses);
const clientMutationIdSchema = z.string().min(1).max(256).nullish();

const endAfterStart = { error: 'must not lie before startDate', path: ['endDate'] };

export const createCampaignSchema = z
  .strictObject({
    name: textSchema(256),
    platform: platformSchema,
    currency: currencySchema,
    status: statusSchema.nullish().transform((status) => status ?? 'DRAFT'),
    objective: textSchema(64).nullish(),
    vertical: textSchema(64).nullish(),
    dailyBudget: moneySchema.nullish(),
    startDate: daySchema,
    endDate: daySchema.nullish(),
    clientMutationId: clientMutationIdSchema,
  })
  .refine((input) => !input.endDate || input.endDate >= input.startDate, endAfterStart);

/**
 * What is absent stays as it is; null clears what may be empty. Platform and currency never change: its recorded days are counted under
 * them.
 */
export const updateCampaignSchema = z.strictObject({
  expectedVersion: z.int().positive(),
  name: textSchema(256).optional(),
  status: statusSchema.optional(),
  objective: textSchema(64).nullable().optional(),
  vertical: textSchema(64).nullable().optional(),
  dailyBudget: moneySchema.nullable().optional(),
  startDate: daySchema.optional(),
  endDate: daySchema.nullable().optional(),
  clientMutationId: clientMutationIdSchema,
});

export const idsMax = 200;
const number = z.number();

export const campaignFilterSchema = z
  .strictObject({
    ids: z.array(z.uuid()).max(idsMax).optional(),
    platform: textSchema(platformCharsMax).optional(),
    status: statusSchema.optional(),
    objective: textSchema(64).optional(),
    vertical: textSchema(64).optional(),
    currency: currencySchema.optional(),
    search: textSchema(256).optional(),
    from: daySchema.optional(),
    to: daySchema.optional(),
    min_spend: number.nonnegative().max(moneyMax).optional(),
    max_spend: number.nonnegative().max(moneyMax).optional(),
    min_ctr: number.nonnegative().optional(),
    max_ctr: number.nonnegative().optional(),
    min_conversions: number.nonnegative().max(moneyMax).optional(),
  })
  .refine((filter) => !filter.from || !filter.to || filter.from <= filter.to, { error: 'from must not lie after to', path: ['from'] });
export type CampaignFilter = z.output<typeof campaignFilterSchema>;

export const orderSchema = z.strictObject({ field: z.enum(orderFields), direction: z.enum(['ASC', 'DESC']) });

export const limitMax = 200;
export const offsetMax = 10_000;
export const limitSchema = z.int().min(1).max(limitMax);
export const offsetSchema = z.int().min(0).max(offsetMax);
export const campaignIdSchema = z.uuid({ error: 'is not a campaign id' });

/** `spend:desc` as an order. */
const orderTextSchema = z
  .string()
  .regex(/^[a-z_]+(:(asc|desc))?$/i, 'must be a field and asc or desc, such as spend:desc')
  .transform((text) => {
    const [field = '', direction = 'desc'] = text.toUpperCase().split(':');
    return { field, direction };
  })
  .pipe(orderSchema);

const numberTextSchema = z.coerce.number().optional();

/** The query string of the list: the filter's fields by name, `orderBy`, and a page by cursor. */
export const listQuerySchema = z.strictObject({
  ids: z
    .string()
    .transform((text) => text.split(','))
    .optional(),
  platform: z.string().optional(),
  status: z.string().optional(),
  objective: z.string().optional(),
  vertical: z.string().optional(),
  currency: z.string().optional(),
  search: z.string().optional(),
  from: dayOrInstantSchema.optional(),
  to: dayOrInstantSchema.optional(),
  min_spend: numberTextSchema,
  max_spend: numberTextSchema,
  min_ctr: numberTextSchema,
  max_ctr: numberTextSchema,
  min_conversions: numberTextSchema,
  orderBy: orderTextSchema.optional(),
  first: z.coerce.number().pipe(limitSchema).default(20),
  after: z.string().max(4096).optional(),
});
