import type { NestFastifyApplication } from '@nestjs/platform-fastify';

export const fileContentTypes = [
  'text/csv',
  'text/tab-separated-values',
  'text/plain',
  'application/octet-stream',
  'application/vnd.ms-excel',
];

/** Files reach the import as a stream: a parser that gathers a body would hold a gigabyte in memory. */
export const acceptFiles = (app: NestFastifyApplication): void => {
  const fastify = app.getHttpAdapter().getInstance();
  for (const type of fileContentTypes)
    fastify.addContentTypeParser(type, (_request: unknown, payload: unknown, done: (error: null, body: unknown) => void) =>
      done(null, payload),
    );
};
