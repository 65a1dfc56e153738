import type { BusMessage } from '@pca/contracts';
import { v7 as uuidv7 } from 'uuid';

/** A message whose payload says which of its key it is. */
export const messageOf = (topic: string, key: string, sequence: number): BusMessage => {
  const now = new Date().toISOString();
  return {
    topic,
    key,
    envelope: {
      id: uuidv7(),
      type: 'test.counted.v1',
      version: 1,
      workspaceId: 'test',
      occurredAt: now,
      receivedAt: now,
      producer: 'test',
      correlationId: 'test',
      causationId: null,
      traceparent: null,
      payload: { sequence },
    },
  };
};

export const sequenceOf = ({ envelope }: BusMessage): number => (envelope.payload as { sequence: number }).sequence;
