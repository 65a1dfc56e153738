import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DomainError } from '@pca/errors';
import type { FastifyInstance } from 'fastify';

export const fileContentTypes = [
  'text/csv',
  'text/tab-separated-values',
  'text/plain',
  'application/octet-stream',
  'application/vnd.ms-excel',
];
const importRoute = '/v1/imports';

/** Files reach the import as a stream: a parser that gathers a body would hold a gigabyte in memory. Elsewhere they are no body at all. */
export const acceptFiles = (app: NestFastifyApplication): void => {
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  // Fastify reads text as a string by itself.
  fastify.removeContentTypeParser('text/plain');
  for (const type of fileContentTypes) {
    fastify.addContentTypeParser(type, (request, payload, done) => {
      if (request.routeOptions.url === importRoute) done(null, payload);
      else done(new DomainError('UNSUPPORTED_MEDIA_TYPE', 'The body is JSON here: send it as application/json'));
    });
  }
};
