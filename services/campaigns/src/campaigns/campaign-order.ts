import { DomainError } from '@pca/errors';
import { z } from 'zod';

export const orderFields = [
  'NAME',
  'SPEND',
  'IMPRESSIONS',
  'CLICKS',
  'CONVERSIONS',
  'CTR',
  'CPC',
  'CPA',
  'ROAS',
  'START_DATE',
  'CREATED_AT',
] as const;
export type OrderField = (typeof orderFields)[number];
export type OrderDirection = 'ASC' | 'DESC';
export interface CampaignOrder {
  field: OrderField;
  direction: OrderDirection;
}

/** The newest first, when nobody asks for more. */
export const defaultOrder: CampaignOrder = { field: 'CREATED_AT', direction: 'DESC' };

/**
 * SQL of each order by the alias of the sums, and the type that a cursor's value is read as. They are the expressions that migration 0001
 * indexes.
 * A ratio over zero sorts as -1: below every real one.
 */
const expressions: Readonly<Record<OrderField, { sql: (sums: string) => string; type: string }>> = {
  NAME: { sql: () => 'lower(c.name)', type: 'text' },
  SPEND: { sql: (s) => `${s}.spend_micros`, type: 'bigint' },
  IMPRESSIONS: { sql: (s) => `${s}.impressions`, type: 'bigint' },
  CLICKS: { sql: (s) => `${s}.clicks`, type: 'bigint' },
  CONVERSIONS: { sql: (s) => `${s}.conversions_micros`, type: 'bigint' },
  CTR: { sql: (s) => `coalesce(${s}.clicks::float8 / nullif(${s}.impressions, 0), -1)`, type: 'float8' },
  CPC: { sql: (s) => `coalesce(${s}.spend_micros::float8 / nullif(${s}.clicks, 0), -1)`, type: 'float8' },
  CPA: { sql: (s) => `coalesce(${s}.spend_micros::float8 / nullif(${s}.conversions_micros, 0), -1)`, type: 'float8' },
  ROAS: { sql: (s) => `coalesce(${s}.conversion_value_micros::float8 / nullif(${s}.spend_micros, 0), -1)`, type: 'float8' },
  START_DATE: { sql: () => 'c.start_date', type: 'date' },
  CREATED_AT: { sql: () => 'c.created_at', type: 'timestamptz' },
};

export const orderExpression = (order: CampaignOrder, sums: string): { sql: string; type: string } => {
  const { sql, type } = expressions[order.field];
  return { sql: sql(sums), type };
};

/** Where a page ends: the order's value, as Postgres prints it, and the id that breaks ties. */
export interface CursorPosition {
  value: string;
  id: string;
}

const cursorSchema = z.tuple([z.enum(orderFields), z.enum(['ASC', 'DESC']), z.string().max(1024), z.uuid()]);
const valuePatterns: Readonly<Record<string, RegExp>> = {
  bigint: /^-?\d{1,19}$/,
  float8: /^-?\d+(\.\d+)?(e[+-]?\d+)?$/,
  date: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/,
  timestamptz: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,6})?[+-](0\d|1[0-4])(:[0-5]\d)?$/,
  text: /^[^\0]*$/,
};

export const encodeCursor = (order: CampaignOrder, { value, id }: CursorPosition): string =>
  Buffer.from(JSON.stringify([order.field, order.direction, value, id])).toString('base64url');

/** Throws BAD_USER_INPUT for what is no cursor of this order. */
export const decodeCursor = (cursor: string, order: CampaignOrder): CursorPosition => {
  const refused = new DomainError('BAD_USER_INPUT', 'The cursor is not one of this list and order');
  let parsed: z.infer<typeof cursorSchema>;
  try {
    parsed = cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw refused;
  }
  const [field, direction, value, id] = parsed;
  if (field !== order.field || direction !== order.direction) throw refused;
  if (!valuePatterns[expressions[field].type]?.test(value)) throw refused;
  return { value, id };
};
