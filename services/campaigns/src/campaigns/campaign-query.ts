import { sumColumns } from '../performance/metrics-sums.js';
import { campaignColumns } from './campaign.js';
import type { CampaignFilter } from './campaign-input.js';
import { type CampaignOrder, type CursorPosition, orderExpression } from './campaign-order.js';
import { canonicalPlatform } from './platform.js';

export interface Statement {
  text: string;
  values: unknown[];
}

export interface ListRequest {
  workspaceId: string;
  filter: CampaignFilter;
  order: CampaignOrder;
  limit: number;
  offset?: number;
  after?: CursorPosition;
}

const micros = 1_000_000;
const likePattern = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`;

class Parameters {
  readonly values: unknown[] = [];
  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** With a range of days the sums come from the days of each candidate; without one they stand on the row. */
const source = (filter: CampaignFilter, parameters: Parameters): { from: string; sums: string } => {
  if (!filter.from && !filter.to) return { from: 'campaign c', sums: 'c' };
  const bounds = [
    ...(filter.from ? [`p.date >= ${parameters.add(filter.from)}::date`] : []),
    ...(filter.to ? [`p.date <= ${parameters.add(filter.to)}::date`] : []),
  ];
  const sums = sumColumns.map((column) => `coalesce(sum(p.${column}), 0)::bigint as ${column}`).join(', ');
  return { from: `campaign c cross join lateral (select ${sums} from performance p where p.campaign_id = c.id and ${bounds.join(' and ')}) s`, sums: 's' };
};

const conditions = (workspaceId: string, filter: CampaignFilter, sums: string, parameters: Parameters): string[] => {
  const where = [`c.workspace_id = ${parameters.add(workspaceId)}`, 'c.deleted_at is null'];
  const equal = (sql: string, value: unknown): void => {
    if (value !== undefined) where.push(`${sql} = ${parameters.add(value)}`);
  };
  if (filter.ids) where.push(`c.id = any(${parameters.add(filter.ids)}::uuid[])`);
  equal('lower(c.platform)', filter.platform && canonicalPlatform(filter.platform).toLowerCase());
  equal('c.status', filter.status);
  equal('c.currency', filter.currency);
  equal('lower(c.objective)', filter.objective?.toLowerCase());
  equal('lower(c.vertical)', filter.vertical?.toLowerCase());
  if (filter.search) where.push(`c.name ilike ${parameters.add(likePattern(filter.search))}`);
  const bound = (sql: string, comparison: '>=' | '<=', value: number | undefined): void => {
    if (value !== undefined) where.push(`${sql} ${comparison} ${parameters.add(value)}`);
  };
  const asMicros = (value: number | undefined): number | undefined => (value === undefined ? undefined : Math.round(value * micros));
  bound(`${sums}.spend_micros`, '>=', asMicros(filter.min_spend));
  bound(`${sums}.spend_micros`, '<=', asMicros(filter.max_spend));
  bound(`${sums}.conversions_micros`, '>=', asMicros(filter.min_conversions));
  const ctr = orderExpression({ field: 'CTR', direction: 'ASC' }, sums).sql;
  bound(ctr, '>=', filter.min_ctr);
  if (filter.max_ctr !== undefined) where.push(`${sums}.impressions > 0`);
  bound(ctr, '<=', filter.max_ctr);
  return where;
};

/** One page of campaigns with their sums; `order_value` is what a cursor holds. */
export const listStatement = ({ workspaceId, filter, order, limit, offset = 0, after }: ListRequest): Statement => {
  const parameters = new Parameters();
  const { from, sums } = source(filter, parameters);
  const where = conditions(workspaceId, filter, sums, parameters);
  const expression = orderExpression(order, sums);
  if (after) {
    const comparison = order.direction === 'ASC' ? '>' : '<';
    where.push(`(${expression.sql}, c.id) ${comparison} (${parameters.add(after.value)}::${expression.type}, ${parameters.add(after.id)}::uuid)`);
  }
  const text = `select ${campaignColumns}, ${sumColumns.map((column) => `${sums}.${column}`).join(', ')}, (${expression.sql})::text as order_value
    from ${from} where ${where.join(' and ')}
    order by ${expression.sql} ${order.direction}, c.id ${order.direction} limit ${parameters.add(limit)} offset ${parameters.add(offset)}`;
  return { text, values: parameters.values };
};

export const countStatement = (workspaceId: string, filter: CampaignFilter): Statement => {
  const parameters = new Parameters();
  const { from, sums } = source(filter, parameters);
  const where = conditions(workspaceId, filter, sums, parameters);
  return { text: `select count(*)::int as n from ${from} where ${where.join(' and ')}`, values: parameters.values };
};
