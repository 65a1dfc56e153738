import kafkajs from 'kafkajs';
// @ts-expect-error -- kafkajs has no types for what is inside of it
import untyped from 'kafkajs/src/consumer/consumerGroup.js';

interface ConsumerGroup {
  joinAndSync(): Promise<void>;
}

const { prototype } = untyped as { readonly prototype: ConsumerGroup };
const { joinAndSync } = prototype;

/**
 * Lets a consumer of kafkajs crash when it cannot join its group again, for the whole process. kafkajs forgets that and fetches on as it did
 * before, and a broker that did not hear of the joining, because it was still loading its groups or the link broke, takes the heartbeats for
 * good: a member that ended its work in order to join would keep its partitions and do nothing, for ever.
 */
export const crashOnFailedJoining = (): void => {
  prototype.joinAndSync = async function (this: ConsumerGroup): Promise<void> {
    try {
      await joinAndSync.call(this);
    } catch (error) {
      throw Object.assign(new kafkajs.KafkaJSNonRetriableError(error as Error), { cause: error });
    }
  };
};
