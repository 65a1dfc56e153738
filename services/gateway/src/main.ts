import { run } from '@pca/service-kit';
import { readBus, readEnv, readSubgraphUrls } from './env.js';
import { gatewayDefinition } from './gateway.js';

run(gatewayDefinition(readEnv(), readSubgraphUrls(), readBus()));
