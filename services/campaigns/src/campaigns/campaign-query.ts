import { sumColumns, toMicros } from '../performance/metrics-sums.js';
import { campaignColumns } from './campaign.js';
import type { CampaignFilter } from './campaign-input.js';
import { type CampaignOrder, type CursorPosition, orderExpression, type OrderField } from './campaign-order.js';
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
  return {
    from: `campaign c cross join lateral (select ${sums} from performance p where p.campaign_id = c.id and ${bounds.join(' and ')}) s`,
    sums: 's',
  };
};

const ofWorkspace = (workspaceId: string, parameters: Parameters): string[] => [
  `c.workspace_id = ${parameters.add(workspaceId)}`,
  'c.deleted_at is null',
];

const conditions = (filter: CampaignFilter, sums: string, parameters: Parameters): string[] => {
  const where: string[] = [];
  const equal = (sql: string, value: unknown): void => {
    if (value !== undefined) where.push(`${sql} = ${parameters.add(value)}`);
  };
  const folded = (sql: string, value: string | undefined): void => {
    if (value !== undefined) where.push(`${sql} = lower(${parameters.add(value)})`);
  };
  if (filter.ids) where.push(`c.id = any(${parameters.add(filter.ids)}::uuid[])`);
  // The database folds both sides: its idea of lower case is not always JavaScript's.
  folded('c.platform_key', filter.platform && canonicalPlatform(filter.platform));
  equal('c.status', filter.status);
  equal('c.currency', filter.currency);
  folded('c.objective_key', filter.objective);
  folded('c.vertical_key', filter.vertical);
  if (filter.search) where.push(`c.name ilike ${parameters.add(likePattern(filter.search))}`);
  const bound = (sql: string, comparison: '>=' | '<=', value: number | undefined): void => {
    if (value !== undefined) where.push(`${sql} ${comparison} ${parameters.add(value)}`);
  };
  const asMicros = (value: number | undefined): number | undefined => (value === undefined ? undefined : toMicros(value));
  bound(`${sums}.spend_micros`, '>=', asMicros(filter.min_spend));
  bound(`${sums}.spend_micros`, '<=', asMicros(filter.max_spend));
  bound(`${sums}.conversions_micros`, '>=', asMicros(filter.min_conversions));
  const ctr = orderExpression({ field: 'CTR', direction: 'ASC' }, sums).sql;
  bound(ctr, '>=', filter.min_ctr);
  if (filter.max_ctr !== undefined) where.push(`${sums}.impressions > 0`);
  bound(ctr, '<=', filter.max_ctr);
  return where;
};

const afterCursor = ({ order, after }: ListRequest, sums: string, parameters: Parameters): string[] => {
  if (!after) return [];
  const { sql, type } = orderExpression(order, sums);
  return [
    `(${sql}, c.id) ${order.direction === 'ASC' ? '>' : '<'} (${parameters.add(after.value)}::${type}, ${parameters.add(after.id)}::uuid)`,
  ];
};

const columns = `${campaignColumns}, ${sumColumns.map((column) => `c.${column}`).join(', ')}, c.order_value::text`;
const byOrder = ({ direction }: CampaignOrder): string => `order by c.order_value ${direction}, c.id ${direction}`;
const page = ({ limit, offset = 0 }: ListRequest, parameters: Parameters): string =>
  `limit ${parameters.add(limit)} offset ${parameters.add(offset)}`;

/** How many campaigns in order are looked at before the filter is given the lead. */
export const probedMax = 2_000;

/**
 * The page if the first 2,000 campaigns in order hold it, else an incomplete one: a walk along the order's index, which is the fastest plan
 * by far for
 * a filter that many campaigns pass, and bounded for one that few do. Undefined where sums come from days: no index is in their order.
 */
export const probeStatement = (request: ListRequest): Statement | undefined => {
  const { workspaceId, filter, order } = request;
  if (filter.from || filter.to) return undefined;
  const parameters = new Parameters();
  const { sql } = orderExpression(order, 'c');
  const first = [...ofWorkspace(workspaceId, parameters), ...afterCursor(request, 'c', parameters)].join(' and ');
  const where = conditions(filter, 'c', parameters);
  const text = `select ${columns} from (
      select c.*, ${sql} as order_value from campaign c where ${first} order by ${sql} ${order.direction}, c.id ${order.direction} limit ${probedMax}) c
    ${where.length > 0 ? `where ${where.join(' and ')}` : ''} ${byOrder(order)} ${page(request, parameters)}`;
  return { text, values: parameters.values };
};

/** Whether the probe's page is the page even when it is not full: nothing is filtered out, and it lies within what the probe looks at. */
export const seesAll = ({ filter, limit, offset = 0 }: ListRequest): boolean =>
  Object.keys(filter).length === 0 && offset + limit <= probedMax;

/**
 * The page whatever the filter is: what matches is gathered first and sorted then. `offset 0` keeps the planner from walking along the
 * order's index
 * instead, where a filter at odds with the order (the cheapest of those that spend most) makes it visit every campaign one by one.
 */
export const listStatement = (request: ListRequest): Statement => {
  const { workspaceId, filter, order } = request;
  const parameters = new Parameters();
  const { from, sums } = source(filter, parameters);
  const where = [
    ...ofWorkspace(workspaceId, parameters),
    ...conditions(filter, sums, parameters),
    ...afterCursor(request, sums, parameters),
  ];
  const ownSums = sumColumns.map((column) => `${sums}.${column}`).join(', ');
  const text = `select ${columns} from (
      select ${campaignColumns.replaceAll('::text', '')}, ${ownSums}, ${orderExpression(order, sums).sql} as order_value
      from ${from} where ${where.join(' and ')} offset 0) c
    ${byOrder(order)} ${page(request, parameters)}`;
  return { text, values: parameters.values };
};

const ordersBySums: ReadonlySet<OrderField> = new Set(['SPEND', 'IMPRESSIONS', 'CLICKS', 'CONVERSIONS', 'CTR', 'CPC', 'CPA', 'ROAS']);
const boundsSums = (filter: CampaignFilter): boolean =>
  [filter.min_spend, filter.max_spend, filter.min_ctr, filter.max_ctr, filter.min_conversions].some((bound) => bound !== undefined);

/** Whether which campaigns a page holds depends on sums over the filter's days: then the days of every candidate have to be added up. */
export const needsRangeSums = ({ filter, order }: Pick<ListRequest, 'filter' | 'order'>): boolean =>
  ordersBySums.has(order.field) || boundsSums(filter);

export const withoutRange = ({ from: _from, to: _to, ...filter }: CampaignFilter): CampaignFilter => filter;

export const countStatement = (workspaceId: string, asked: CampaignFilter): Statement => {
  const filter = boundsSums(asked) ? asked : withoutRange(asked);
  const parameters = new Parameters();
  const { from, sums } = source(filter, parameters);
  const where = [...ofWorkspace(workspaceId, parameters), ...conditions(filter, sums, parameters)];
  return { text: `select count(*)::int as n from ${from} where ${where.join(' and ')}`, values: parameters.values };
};
