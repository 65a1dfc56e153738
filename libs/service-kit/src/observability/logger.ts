import type { LoggerService } from '@nestjs/common';
import { trace } from '@opentelemetry/api';
import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Names of fields that never reach the log, at the top, one level down and among headers. */
const secretPaths = ['authorization', 'cookie', 'password', 'token', 'writeKey', 'secret'].flatMap((name) => [
  name,
  `*.${name}`,
  `req.headers.${name}`,
  `headers.${name}`,
]);

/** What a person on call needs of an error. Not its other fields: a failed query carries its parameters, which are our users' data. */
const errorForLog = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const code = (error as { code?: unknown }).code;
  return { type: name, message, ...(code !== undefined && { code }), stack, ...(cause !== undefined && { cause: errorForLog(cause) }) };
};

/** JSON lines with trace ids. ERROR means that a person must act; a client's mistake is at most INFO. */
export const createLogger = (options: { name: string; level: string; destination?: DestinationStream }): Logger =>
  pino(
    {
      name: options.name,
      level: options.level,
      redact: { paths: secretPaths, censor: '[redacted]' },
      serializers: { err: errorForLog },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => {
        const span = trace.getActiveSpan()?.spanContext();
        return span ? { traceId: span.traceId, spanId: span.spanId } : {};
      },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  );

/** Nest's own lines through pino; its chatter about modules and routes is debug. */
export const nestLogger = (logger: Logger): LoggerService => {
  const context = (rest: unknown[]) => ({ context: rest.filter((part) => typeof part === 'string').at(-1) });
  return {
    log: (message: unknown, ...rest: unknown[]) => logger.debug(context(rest), String(message)),
    debug: (message: unknown, ...rest: unknown[]) => logger.debug(context(rest), String(message)),
    verbose: (message: unknown, ...rest: unknown[]) => logger.trace(context(rest), String(message)),
    warn: (message: unknown, ...rest: unknown[]) => logger.warn(context(rest), String(message)),
    error: (message: unknown, ...rest: unknown[]) => logger.error(context(rest), String(message)),
    fatal: (message: unknown, ...rest: unknown[]) => logger.fatal(context(rest), String(message)),
  };
};
