import type { ApolloServerPlugin, BaseContext } from '@apollo/server';
import { boundedLabel, graphqlErrorsTotal, graphqlOperationSeconds } from '../observability/metrics.js';

const operationNamesMax = 200;

/**
 * Rate, time and errors of GraphQL operations by name and code. Clients choose the names, so only the first 200 get a series of their own.
 */
export const graphqlMetrics = (): ApolloServerPlugin<BaseContext> => {
  const labelOf = boundedLabel(operationNamesMax);
  return {
    requestDidStart() {
      const stop = graphqlOperationSeconds.startTimer();
      return Promise.resolve({
        willSendResponse({ operationName, operation, response }) {
          const name = labelOf(operationName ?? 'anonymous');
          stop({ operation: name, type: operation?.operation ?? 'unknown' });
          if (response.body.kind === 'single') {
            for (const error of response.body.singleResult.errors ?? [])
              graphqlErrorsTotal.inc({ operation: name, code: String(error.extensions?.['code'] ?? 'UNKNOWN') });
          }
          return Promise.resolve();
        },
      });
    },
  };
};
