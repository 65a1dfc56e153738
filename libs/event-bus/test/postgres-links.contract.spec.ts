import { linkContract } from './contract/links.js';
import { postgresAdapter } from './harness/postgres-adapter.js';

linkContract(postgresAdapter);
