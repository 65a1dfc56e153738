import { deliveryContract } from './contract/delivery.js';
import { postgresAdapter } from './harness/postgres-adapter.js';

deliveryContract(postgresAdapter);
