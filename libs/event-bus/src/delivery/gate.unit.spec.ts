import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Gate } from './gate.js';

// Broken by: a delay that is waited out although it was ended, or is not what was said last.
it('lets go of a delay that is ended, and waits for one that is there', async () => {
  const gate = new Gate();
  const { signal } = new AbortController();
  gate.delay(3_600_000);
  let passed = false;
  const passing = gate.pass(signal).then(() => (passed = true));
  await sleep(20);
  expect(passed).toBe(false);
  gate.delay(0);
  await passing;
  expect(gate.isOpen).toBe(true);
});

it('holds back what is paused until it is resumed, or nobody wants it any more', async () => {
  const gate = new Gate();
  const leaving = new AbortController();
  gate.pause();
  let passed = 0;
  const passing = gate.pass(new AbortController().signal).then(() => (passed += 1));
  const left = gate.pass(leaving.signal).then(() => (passed += 1));
  await sleep(20);
  expect(passed).toBe(0);
  leaving.abort();
  await left;
  expect(passed).toBe(1);
  gate.resume();
  await passing;
});
