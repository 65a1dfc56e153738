import { requiresKafka } from '@pca/testing';
import { groupContract } from './contract/groups.js';
import { kafkaAdapter } from './harness/kafka-adapter.js';

if (await requiresKafka()) groupContract(kafkaAdapter);
