// @ts-expect-error -- kafkajs has no types for what is inside of it
import untyped from 'kafkajs/src/network/connection.js';

interface Connection {
  chunks: readonly Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  isConnected(): boolean;
  connect(): Promise<boolean>;
}

const { prototype } = untyped as { readonly prototype: Connection };
const { connect } = prototype;
/** Of the number before every answer that says how long it is. */
const lengthBytes = 4;

/**
 * Lets a connection of kafkajs that is made again forget the answer in the middle of which it broke, for the whole process. kafkajs takes
 * what comes over the new one for the rest of it: answers get lost, and one that seems to be too short is an error that nobody catches,
 * which ends the process.
 */
export const forgetHalfAnswers = (): void => {
  prototype.connect = function (this: Connection): Promise<boolean> {
    if (!this.isConnected()) Object.assign(this, { chunks: [], bytesBuffered: 0, bytesNeeded: lengthBytes });
    return connect.call(this);
  };
};
