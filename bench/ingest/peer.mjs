import { cpuSeconds } from '../bus/processes.mjs';
import { startChild } from './child.mjs';

/** The peer's rate, its latencies and the CPU of 100,000 events by stage. */
export const measurePeer = async (server, load, { seed, events, callers }) => {
  const database = await server.makeDatabase('peer');
  const peer = await startChild('peer-server.mjs');
  const { url } = await peer.ask('start', { database });
  const target = { url, path: '/', key: 'none', callers, single: true };
  await load.ask('make', { seed, count: events / 4, batchSize: 1 });
  await load.ask('send', target);
  await load.ask('make', { seed: seed + 1, count: events, batchSize: 1 });
  await server.settle();
  const usage = () => [cpuSeconds(load.pid), cpuSeconds(peer.pid), server.cpuSeconds()];
  const before = usage();
  const { startedMs, endedMs, p50Ms, p95Ms } = await load.ask('send', target);
  const [loadCpu, serverCpu, postgresCpu] = usage().map((each, n) => ((each - before[n]) * 100_000) / events);
  await peer.stop();
  await server.dropDatabase('peer');
  return {
    rate: (events * 1000) / (endedMs - startedMs),
    p50Ms,
    p95Ms,
    cpu: { load: loadCpu, analytics: serverCpu, postgres: postgresCpu },
  };
};
