import { run } from '@pca/service-kit';
import { readEnv, readSubgraphUrls } from './env.js';
import { gatewayDefinition } from './gateway.js';

run(gatewayDefinition(readEnv(), readSubgraphUrls()));
