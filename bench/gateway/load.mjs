import { Pool } from 'undici';
import { bodyOf } from './queries.mjs';

export const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)];
export const median = (values) => quantile(values, 0.5);

/** Clients that each send the next request when the last one is answered. An answer with an error ends the run: it would be cheap. */
export const makeLoad = ({ url, token, documents, kind, clients }) => {
  const pool = new Pool(url, { connections: clients });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  let sent = 0;
  const one = async () => {
    const n = sent++;
    const answer = await pool.request({ path: '/graphql', method: 'POST', headers, body: bodyOf(documents, kind, n) });
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || text.includes('"errors"'))
      throw new Error(`request ${n} to ${url}: ${answer.statusCode} ${text.slice(0, 300)}`);
  };
  return {
    run: async (requests) => {
      const ms = [];
      let left = requests;
      const client = async () => {
        while (left-- > 0) {
          const startMs = performance.now();
          await one();
          ms.push(performance.now() - startMs);
        }
      };
      await Promise.all(Array.from({ length: clients }, client));
      return { p50Ms: median(ms), p99Ms: quantile(ms, 0.99) };
    },
    close: () => pool.close(),
  };
};
