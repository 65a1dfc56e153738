import { run } from '@pca/service-kit';
import { readEnv } from './env.js';
import { campaignsService } from './service.js';

run(campaignsService(readEnv()));
