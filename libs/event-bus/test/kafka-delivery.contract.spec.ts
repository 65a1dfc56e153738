import { requiresKafka } from '@pca/testing';
import { deliveryContract } from './contract/delivery.js';
import { kafkaAdapter } from './harness/kafka-adapter.js';

if (await requiresKafka()) deliveryContract(kafkaAdapter);
