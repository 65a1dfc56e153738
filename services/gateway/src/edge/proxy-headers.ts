import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** RFC 9110 7.6.1: they belong to one connection and are not handed on. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
/** Who the client is by its connection, for services that keep it as a workspace allows. */
export const clientAddressHeader = 'x-forwarded-for';
/**
 * What a browser, which alone names an origin, says of the visitor, and the address it comes from: for services that keep of it what a
 * workspace allows. Nothing of a server.
 */
export const visitorHeadersOf = ({ headers, ip }: { headers: IncomingHttpHeaders; ip: string }): Record<string, string> => {
  const { origin, 'user-agent': userAgent } = headers;
  if (origin === undefined) return {};
  return { origin, [clientAddressHeader]: ip, ...(userAgent !== undefined && { 'user-agent': userAgent }) };
};

/** Ours to say or to have answered, not the client's: who it came through, which trace it belongs to, whether to go on. */
const notForServices = [
  'host',
  'expect',
  'cookie',
  'forwarded',
  clientAddressHeader,
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
  'traceparent',
  'tracestate',
  'baggage',
];

const without = (headers: IncomingHttpHeaders, dropped: readonly string[]): Record<string, string | string[]> => {
  const named = String(headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  const gone = new Set([...hopByHop, ...named, ...dropped]);
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined && !gone.has(entry[0])),
  );
};

export const requestHeadersFor = (
  headers: IncomingHttpHeaders,
  requestId: string,
  traceparent: string | null,
): Record<string, string | string[]> => ({
  ...without(headers, notForServices),
  'x-request-id': requestId,
  ...(traceparent && { traceparent }),
});

/** Security headers are the gateway's, so that every path has the same. */
export const responseHeadersFrom = (headers: IncomingHttpHeaders, ours: ReadonlySet<string>): OutgoingHttpHeaders =>
  without(headers, ['x-request-id', ...ours]);
