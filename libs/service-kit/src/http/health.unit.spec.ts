import { expect, it } from 'vitest';
import { Health } from './health.js';

it('is not ready before it has started, while a check fails or hangs, and once it drains', async () => {
  const health = new Health();
  let working = true;
  health.add({ name: 'database', check: () => (working ? Promise.resolve() : Promise.reject(new Error('down'))) });
  expect(await health.notReady()).toEqual(['starting']);
  health.start();
  expect(await health.notReady()).toEqual([]);
  working = false;
  expect(await health.notReady()).toEqual(['database']);
  working = true;
  health.add({ name: 'bus', check: () => new Promise(() => undefined) });
  expect(await health.notReady()).toEqual(['bus']);
  health.drain();
  expect(await health.notReady()).toEqual(['shutting down']);
});
