import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { nodeFlagsOfAll } from '../../deploy/local/dist/services/service-process.js';
import { cpuSeconds } from './processes.mjs';

const answerMsMax = 600_000;
const load = { callers: 4, batchSize: 100 };

const answerOf = (child) =>
  new Promise((resolve, reject) => {
    const settle = (give, value) => {
      clearTimeout(timer);
      child.removeAllListeners('message').removeAllListeners('exit');
      give(value);
    };
    const timer = setTimeout(() => settle(reject, new Error('a process of the benchmark does not answer: events were lost')), answerMsMax);
    child.once('message', ({ answer }) => settle(resolve, answer));
    child.once('exit', (code) => settle(reject, new Error(`a process of the benchmark ended with ${code}`)));
  });

const startRole = async (side, { file }, place) => {
  const args = [side, join(import.meta.dirname, 'systems', file), JSON.stringify(place)];
  const child = fork(join(import.meta.dirname, 'role.mjs'), args, {
    execPath: process.execPath,
    // The limits that services run with; kafkajs works out a pause from a time that is not set yet, and Node tells of each.
    execArgv: [...nodeFlagsOfAll, '--disable-warning=TimeoutNegativeWarning'],
  });
  await answerOf(child);
  const ask = (name, value) => {
    const answer = answerOf(child);
    child.send({ name, value });
    return answer;
  };
  const close = async () => {
    await ask('close');
    const exit = once(child, 'exit');
    child.disconnect();
    await exit;
  };
  return { pid: child.pid, ask, close };
};

/**
 * A writer and a consumer of one system, each a process of its own, on tables or a topic of their own, which the consumer makes. `leg`
 * sends the next `count` events through, and resolves when the last one is handled and that is committed; CPU is in seconds per 100,000
 * events.
 */
export const openSession = async (system, server) => {
  const place = { ...load, ...system.load, ...(await server.makePlace()) };
  const consumer = await startRole('consumer', system, place);
  const writer = await startRole('writer', system, place);
  const usage = () => [cpuSeconds(writer.pid), cpuSeconds(consumer.pid), server.cpuSeconds()];
  let first = 0;
  const leg = async (count, everyMs) => {
    await consumer.ask('expect', { first, count, everyMs });
    await server.settle();
    const before = usage();
    const [written, handled] = await Promise.all([writer.ask('write', { first, count, everyMs }), consumer.ask('finish')]);
    const [writerCpu, consumerCpu, serverCpu] = usage().map((seconds, n) => ((seconds - before[n]) * 100_000) / count);
    first += count;
    return {
      ...handled,
      eventsPerSecond: (count * 1000) / (handled.committedMs - written.startedMs),
      cpu: writerCpu + consumerCpu + serverCpu,
      writerCpu,
      consumerCpu,
      serverCpu,
    };
  };
  const close = async () => {
    await writer.close();
    await consumer.close();
    await server.dropPlace(place);
  };
  return { place, writerPid: writer.pid, consumerPid: consumer.pid, leg, close };
};
