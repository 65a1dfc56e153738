import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One registry per process; `/metrics` prints it. */
export const registry = new Registry();

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export const counter = <L extends string>(name: `pca_${string}_total`, help: string, labelNames: readonly L[] = []): Counter<L> =>
  new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });

export const gauge = <L extends string>(
  name: `pca_${string}`,
  help: string,
  labelNames: readonly L[] = [],
  collect?: (gauge: Gauge<L>) => void | Promise<void>,
): Gauge<L> =>
  new Gauge<L>({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    ...(collect && {
      collect(this: Gauge<L>) {
        return collect(this);
      },
    }),
  });

const askMsMax = 1_000;

/**
 * A gauge that asks at each scrape whoever was added to it: `add` names the sets of labels once, and `ask` answers with a value for each. One
 * that fails or takes over a second gives NaN, so that a scrape waits for nobody. Returns how to add, which returns how to leave.
 */
export const askedGauge = <L extends string>(name: `pca_${string}`, help: string, labelNames: readonly L[] = []) => {
  type Labels = Readonly<Record<L, string>>;
  const sources = new Set<{ readonly sets: readonly Labels[]; readonly ask: () => Promise<readonly number[]> }>();
  gauge(name, help, labelNames, async (metric) => {
    metric.reset();
    const answers = await Promise.all([...sources].map(async ({ sets, ask }) => ({ sets, values: await inTime(ask) })));
    for (const { sets, values } of answers) sets.forEach((labels, i) => metric.set(labels, values[i] ?? Number.NaN));
  });
  return (sets: readonly Labels[], ask: () => Promise<readonly number[]>): (() => void) => {
    const source = { sets, ask };
    sources.add(source);
    return () => void sources.delete(source);
  };
};

const inTime = async (ask: () => Promise<readonly number[]>): Promise<readonly number[]> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly number[]>((resolve) => {
    timer = setTimeout(() => resolve([]), askMsMax);
  });
  try {
    return await Promise.race([ask().catch(() => []), late]);
  } finally {
    clearTimeout(timer);
  }
};

export const histogram = <L extends string>(
  name: `pca_${string}_seconds`,
  help: string,
  labelNames: readonly L[] = [],
  buckets: number[] = seconds,
): Histogram<L> => new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [registry] });

export const httpRequestSeconds = histogram('pca_http_request_seconds', 'Time of HTTP requests by route', ['method', 'route', 'status']);
export const graphqlOperationSeconds = histogram('pca_graphql_operation_seconds', 'Time of GraphQL operations', ['operation', 'type']);
export const graphqlErrorsTotal = counter('pca_graphql_errors_total', 'GraphQL errors by operation and code', ['operation', 'code']);
export const errorsTotal = counter('pca_errors_total', 'Errors answered over HTTP by route and code', ['route', 'code']);
export const querySeconds = histogram('pca_db_query_seconds', 'Time of database queries', ['outcome']);

let started = false;

/** Event loop, memory, GC and handles of this process, labelled with the service's name. */
export const startMetrics = (service: string): void => {
  if (started) return;
  started = true;
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
};

const labelLengthMax = 64;

/** Keeps a label that callers choose from growing without bound: after `max` names every new one is `other`, and so is a long one. */
export const boundedLabel = (max: number): ((name: string) => string) => {
  const known = new Set<string>();
  return (name) => {
    if (name.length > labelLengthMax) return 'other';
    if (known.has(name)) return name;
    if (known.size >= max) return 'other';
    known.add(name);
    return name;
  };
};
