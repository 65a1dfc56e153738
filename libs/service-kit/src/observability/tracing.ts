import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

export { SpanKind } from '@opentelemetry/api';

let enabled = false;
export const tracingEnabled = (): boolean => enabled;

/** Starts exporting spans when an OTLP endpoint is named; without one nothing is recorded and nothing leaves. */
export const startTracing = async (service: string, endpoint: string | undefined): Promise<() => Promise<void>> => {
  if (!endpoint) return () => Promise.resolve();
  // Loaded late: it is a tenth of the memory of a service that has just begun, and most export nothing.
  const { exportSpans } = await import('./export-spans.js');
  const stop = exportSpans(service, endpoint);
  enabled = true;
  return stop;
};

const tracer = trace.getTracer('pca');

const linksMax = 32;

/** Each of the traces once, a few dozen at most. */
const contextsOf = (traceparents: readonly (string | null)[]): Context[] =>
  [...new Set(traceparents)]
    .filter((traceparent) => traceparent !== null)
    .slice(0, linksMax)
    .map((traceparent) => propagation.extract(ROOT_CONTEXT, { traceparent }));

const linkTo = (one: Context | undefined): Link[] => {
  const spanContext = one && trace.getSpanContext(one);
  return spanContext ? [{ context: spanContext }] : [];
};

/**
 * Runs `work` in a span; a throw is recorded on it. Work that others' traces have led to is the child of the one, or linked to the several.
 * Costs one comparison when tracing is off.
 */
export const inSpan = async <T>(
  name: string,
  kind: SpanKind,
  attributes: Attributes,
  work: () => Promise<T>,
  traceparents: readonly (string | null)[] = [],
): Promise<T> => {
  if (!enabled) return work();
  const [first, ...others] = contextsOf(traceparents);
  // A batch of several traces belongs to none of them: it is linked to all.
  const base = first && others.length === 0 ? first : context.active();
  const links = others.length === 0 ? [] : [first, ...others].flatMap((one) => linkTo(one));
  const span = tracer.startSpan(name, { kind, attributes, links }, base);
  try {
    return await context.with(trace.setSpan(base, span), work);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
};

export const startSpan = (name: string, kind: SpanKind, attributes: Attributes, parent: Context): { span: Span; context: Context } => {
  const span = tracer.startSpan(name, { kind, attributes }, parent);
  return { span, context: trace.setSpan(parent, span) };
};

export const failSpan = (span: Span, error: unknown): void => {
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
};

export const contextFromHeaders = (headers: Record<string, unknown>): Context => propagation.extract(context.active(), headers);

/** W3C trace context of the active span, for headers and event envelopes; null when tracing is off. */
export const activeTraceparent = (): string | null => {
  if (!enabled) return null;
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent ?? null;
};

export const withContext = <T>(active: Context, work: () => T): T => context.with(active, work);
