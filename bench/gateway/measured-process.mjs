import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

const startMsMax = 30_000;

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
};

const answers = async (url) => {
  try {
    return (await fetch(url)).status > 0;
  } catch {
    return false;
  }
};

/** Starts a server in a process of its own, as in production, and waits until it answers. `cpuMicros` is what it has used so far. */
export const startMeasured = async (script, env, nodeFlags = []) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // More arguments for node, to profile what is measured: BENCH_NODE_ARGS="--cpu-prof --cpu-prof-dir=…".
  const moreArguments = (process.env.BENCH_NODE_ARGS ?? '').split(' ').filter(Boolean);
  const child = fork(script, [], {
    execArgv: ['--import', resolve(import.meta.dirname, 'cpu-probe.mjs'), ...nodeFlags, ...moreArguments],
    env: { ...process.env, NODE_ENV: 'production', LOG_LEVEL: 'warn', APOLLO_TELEMETRY_DISABLED: 'true', PORT: String(port), ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const deadline = Date.now() + startMsMax;
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${script} does not answer`);
    await sleep(50);
  }
  return {
    url,
    pid: child.pid,
    cpuMicros: async () => {
      child.send('cpu');
      const [used] = await once(child, 'message');
      return used.cpuMicros;
    },
    stop: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
};
