import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';
import { root, toolEnv } from './places.mjs';

/**
 * npm passes a terminal's Ctrl-C on, although the terminal has already sent it to everybody: the second of two this close is no second
 * wish.
 */
const echoMs = 300;
const parentPollMs = 500;

/**
 * Notices the end of npm, which may be killed without a word: npm is the parent, because its scripts say "exec" and so leave no shell in
 * between. Who started this without npm may go away, as a shell does that puts it into the background.
 */
const onNpmGone = (react) => {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    react();
  }, parentPollMs);
  timer.unref();
};

/**
 * Runs a program to its end and resolves with its exit code. A program that lives on its own terms (`apart`) is out of reach of the
 * terminal's Ctrl-C, which is passed on to it, and learns by its IPC channel when this process or npm is gone; any other shares the
 * terminal.
 */
export const runChild = (file, args, { apart = false, env = {} } = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: root,
      env: { ...toolEnv(), ...env },
      detached: apart,
      stdio: apart ? ['ignore', 'inherit', 'inherit', 'ipc'] : 'inherit',
    });
    let last = -Infinity;
    process.on('SIGINT', () => {
      const now = performance.now();
      if (apart ? now - last > echoMs : !process.stdin.isTTY) child.kill('SIGINT');
      last = now;
    });
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    onNpmGone(() => (apart ? child.connected && child.disconnect() : child.kill('SIGTERM')));
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
