import { type Dispatcher, Pool } from 'undici';
import { seams } from '../seams.js';

/** A keep-alive pool to one origin, with the seam that a later fault may use. Times are milliseconds. */
export const outgoingPool = (origin: string, options: Pool.Options = {}): Dispatcher =>
  new Pool(origin, { connections: 64, keepAliveTimeout: 30_000, ...options }).compose((dispatch) => (request, handler) => {
    if (!seams.outgoing.active) return dispatch(request, handler);
    seams.outgoing
      .pass({ method: request.method, origin, path: request.path })
      .then(() => dispatch(request, handler))
      .catch((error: Error) => handler.onResponseError?.(undefined as never, error));
    return true;
  });
