import { DomainError } from '@pca/errors';
import { z } from 'zod';

const analyticsRangeSchema = z.object({
  from: z.iso.date(),
  to: z.iso.date(),
  platform: z.string().max(256).nullable(),
  currency: z.string().max(16),
  interval: z.enum(['DAY', 'WEEK', 'MONTH']),
  timeZone: z.string().max(64),
});

/** The resolved arguments of an `Analytics` of the graph: days, both inclusive, in the time zone. */
export type AnalyticsRange = z.infer<typeof analyticsRangeSchema>;

const lengthMax = 2_048;

/** The opaque id under which subgraphs answer for the same range. */
export const encodeAnalyticsId = ({ from, to, platform, currency, interval, timeZone }: AnalyticsRange): string =>
  Buffer.from(JSON.stringify({ from, to, platform, currency, interval, timeZone })).toString('base64url');

/** Throws BAD_USER_INPUT for what is no such id. Clients can make ids of their own: whether the values make sense, the reader checks. */
export const decodeAnalyticsId = (id: string): AnalyticsRange => {
  const refusal = new DomainError('BAD_USER_INPUT', 'This is no id of an Analytics');
  if (id.length > lengthMax) throw refusal;
  try {
    return analyticsRangeSchema.parse(JSON.parse(Buffer.from(id, 'base64url').toString('utf8')));
  } catch {
    throw refusal;
  }
};
