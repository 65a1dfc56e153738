import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const answerMsMax = 1_800_000;

const answerOf = (child, file) =>
  new Promise((resolve, reject) => {
    const settle = (give, value) => {
      clearTimeout(timer);
      child.removeAllListeners('message').removeAllListeners('exit');
      give(value);
    };
    const timer = setTimeout(() => settle(reject, new Error(`${file} does not answer`)), answerMsMax);
    child.once('message', ({ answer, fault }) => (fault ? settle(reject, new Error(fault)) : settle(resolve, answer)));
    child.once('exit', (code) => settle(reject, new Error(`${file} ended with ${code}`)));
  });

/** A program of this folder in a process of its own, so that its CPU is told apart; it answers one question after the other. */
export const startChild = async (file) => {
  const child = fork(join(import.meta.dirname, file), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await answerOf(child, file);
  const ask = (name, value) => {
    const answer = answerOf(child, file);
    child.send({ name, value });
    return answer;
  };
  const stop = async () => {
    const exit = once(child, 'exit');
    child.disconnect();
    await exit;
  };
  return { pid: child.pid, ask, stop };
};
