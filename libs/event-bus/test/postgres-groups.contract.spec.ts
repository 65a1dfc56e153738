import { groupContract } from './contract/groups.js';
import { postgresAdapter } from './harness/postgres-adapter.js';

groupContract(postgresAdapter);
