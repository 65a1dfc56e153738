import { errorCatalogue, problemContentType, toProblem, type ErrorCode } from '@pca/errors';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const codeOf = (error: { code?: string }): ErrorCode => (error.code === 'HPE_HEADER_OVERFLOW' ? 'PAYLOAD_TOO_LARGE' : 'BAD_REQUEST');
const bodyOf = (code: ErrorCode, detail: string): string => JSON.stringify(toProblem(code, detail));

/** Answers what Node cannot read as HTTP, before there is a request: the same problem+json as everywhere, then the end of the connection. */
export const refuseUnreadable = (error: Error & { code?: string }, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = codeOf(error);
  const { status, title } = errorCatalogue[code];
  const body = bodyOf(
    code,
    code === 'PAYLOAD_TOO_LARGE' ? 'The head of the request is larger than the limit' : 'This is no HTTP request that can be read',
  );
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: ${problemContentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

/** Answers a request whose path cannot be routed, such as one with a broken percent sign. */
export const refuseUnroutable = (response: ServerResponse): void => {
  const { status } = errorCatalogue.BAD_REQUEST;
  response.writeHead(status, { 'content-type': problemContentType }).end(bodyOf('BAD_REQUEST', 'The path cannot be read'));
};
