import type { Dispatcher } from 'undici';
import { faultOf, timeoutFault, UpstreamFault } from './upstream-fault.js';
import type { UpstreamRequest } from './upstream.js';

export interface TextAnswer {
  status: number;
  contentType: string;
  retryAfter: string | undefined;
  text: string;
}

export interface ExchangeLimits {
  service: string;
  /** From now until the last byte of the answer. */
  msMax: number;
  bytesMax: number;
}

/**
 * Sends a request and reads the whole answer as text, within a time and a size. Collects the chunks itself: undici's readable body costs
 * more than the rest of the exchange. Throws UpstreamFault.
 */
export const exchange = (pool: Dispatcher, request: UpstreamRequest, limits: ExchangeLimits): Promise<TextAnswer> =>
  new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let ended: Error | undefined;
    let status = 0;
    let contentType = '';
    let retryAfter: string | undefined;
    let bytes = 0;
    const chunks: Buffer[] = [];
    const end = (fault: UpstreamFault): void => {
      ended = fault;
      controller?.abort(fault);
      reject(fault);
    };
    const timer = setTimeout(() => end(timeoutFault(limits.service)), limits.msMax);
    pool.dispatch(
      { path: request.path, method: request.method, headers: request.headers, body: request.body ?? null },
      {
        onRequestStart(started) {
          controller = started;
          // It waited for a connection until nobody waited for it.
          if (ended) started.abort(ended);
        },
        onResponseStart(_controller, code, headers) {
          status = code;
          contentType = String(headers['content-type'] ?? '');
          retryAfter = headers['retry-after']?.toString();
        },
        onResponseData(_controller, chunk) {
          bytes += chunk.length;
          if (bytes > limits.bytesMax)
            end(new UpstreamFault('BAD_GATEWAY', limits.service, `The answer of ${limits.service} is larger than the limit`, false));
          else chunks.push(chunk);
        },
        onResponseEnd() {
          clearTimeout(timer);
          const text = chunks.length === 1 ? (chunks[0] as Buffer).toString() : Buffer.concat(chunks, bytes).toString();
          resolve({ status, contentType, retryAfter, text });
        },
        onResponseError(_controller, error) {
          clearTimeout(timer);
          reject(faultOf(limits.service, error));
        },
      },
    );
  });
