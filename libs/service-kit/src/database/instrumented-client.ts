import pg from 'pg';
import { querySeconds } from '../observability/metrics.js';
import { failSpan, SpanKind, startSpan, tracingEnabled } from '../observability/tracing.js';
import { context } from '@opentelemetry/api';
import { seams } from '../seams.js';

type Callback = (error: Error | null, result?: unknown) => void;

const textOf = (query: unknown): string => (typeof query === 'string' ? query : ((query as { text?: string } | undefined)?.text ?? ''));
const isSubmittable = (query: unknown): boolean => typeof (query as { submit?: unknown } | null)?.submit === 'function';

/** Times a query and, when tracing, spans it by its first keyword; the text's values never leave the process. */
const observe = (text: string): ((error?: unknown) => void) => {
  const stop = querySeconds.startTimer();
  const spanned = tracingEnabled()
    ? startSpan(
        `pg ${/^\s*(\w+)/.exec(text)?.[1]?.toLowerCase() ?? 'query'}`,
        SpanKind.CLIENT,
        { 'db.system.name': 'postgresql', 'db.query.text': text.slice(0, 500) },
        context.active(),
      )
    : undefined;
  return (error) => {
    stop({ outcome: error ? 'error' : 'ok' });
    if (error && spanned) failSpan(spanned.span, error);
    spanned?.span.end();
  };
};

/** pg's client with the seam, the metric and the span on every query. Streams (COPY, cursors) pass untouched. */
export class InstrumentedClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    // A connection may break before whoever asked for it listens, and an error that nobody hears ends the process. The next query fails by it.
    this.on('error', () => undefined);
  }

  // pg declares query as a dozen overloads; all of them are forwarded as they came.
  override query(...args: unknown[]): never {
    const forward = (rest: unknown[]): unknown => (super.query as (...parts: unknown[]) => unknown).apply(this, rest);
    if (isSubmittable(args[0])) return forward(args) as never;
    const text = textOf(args[0]);
    const last = args.at(-1);
    if (typeof last === 'function') {
      const done = last as Callback;
      const run = (): void => {
        const finish = observe(text);
        forward([
          ...args.slice(0, -1),
          (error: Error | null, result: unknown) => {
            finish(error ?? undefined);
            done(error, result);
          },
        ]);
      };
      if (!seams.query.active) run();
      else seams.query.pass({ text }).then(run, (error: Error) => done(error));
      return undefined as never;
    }
    return this.queryPromise(text, () => forward(args) as Promise<unknown>) as never;
  }

  private async queryPromise(text: string, run: () => Promise<unknown>): Promise<unknown> {
    if (seams.query.active) await seams.query.pass({ text });
    const finish = observe(text);
    try {
      const result = await run();
      finish();
      return result;
    } catch (error) {
      finish(error);
      throw error;
    }
  }
}
