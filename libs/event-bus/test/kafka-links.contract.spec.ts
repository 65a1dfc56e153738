import { requiresKafka } from '@pca/testing';
import { linkContract } from './contract/links.js';
import { kafkaAdapter } from './harness/kafka-adapter.js';

if (await requiresKafka()) linkContract(kafkaAdapter);
