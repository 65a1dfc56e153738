import { expect, it } from 'vitest';
import { Seam } from './seams.js';

it('passes through every hook until it is taken out again', async () => {
  const seam = new Seam<{ n: number }>();
  const seen: string[] = [];
  expect(seam.active).toBe(false);
  const remove = seam.use(async ({ n }) => {
    await Promise.resolve();
    seen.push(`a${n}`);
  });
  seam.use(({ n }) => void seen.push(`b${n}`));
  await seam.pass({ n: 1 });
  remove();
  await seam.pass({ n: 2 });
  expect(seen).toEqual(['a1', 'b1', 'b2']);
});

it('throws what a hook throws, and goes no further', async () => {
  const seam = new Seam<object>();
  let reached = false;
  seam.use(() => Promise.reject(new Error('fault')));
  seam.use(() => void (reached = true));
  await expect(seam.pass({})).rejects.toThrow('fault');
  expect(reached).toBe(false);
});
