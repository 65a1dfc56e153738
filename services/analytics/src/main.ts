import { run } from '@pca/service-kit';
import { readEnv } from './env.js';
import { analyticsService } from './service.js';

run(analyticsService(readEnv()));
