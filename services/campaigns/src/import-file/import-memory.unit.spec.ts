import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { readImportFile } from './read-import-file.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const used = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

it('keeps memory where it is over 200 MB, though every piece of them brings a name worth remembering', async () => {
  const bytes = 200_000_000;
  const source = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('date,campaign,clicks,spend,ad,note\n');
    for (let sent = 0, n = 0; sent < bytes;) {
      let text = '';
      for (let row = 0; row < 100; row++, n++)
        text += `2023-08-31,a campaign with a name ${n >> 6},1,1.25,an ad of its own ${n},${'x'.repeat(1_000)}\n`;
      sent += text.length;
      yield await Promise.resolve(Buffer.from(text));
    }
  };
  let [rows, nextLook, usedMax] = [0, 20_000_000, 0];
  const before = used();
  for await (const item of readImportFile(source())) {
    if (item.kind !== 'batch') continue;
    rows += item.rows.length;
    if (item.bytesRead < nextLook) continue;
    nextLook += 20_000_000;
    usedMax = Math.max(usedMax, used());
  }
  expect(rows).toBeGreaterThan(180_000);
  expect(usedMax - before).toBeLessThan(25_000_000);
});

it('keeps memory where it is when 200 MB of it are one cell', async () => {
  let usedMax = 0;
  const source = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('date,campaign,clicks\n2023-08-31,a,1\n2023-08-31,"');
    const piece = Buffer.alloc(1_000_000, 'x');
    for (let sent = 0; sent < 200; sent++) {
      yield await Promise.resolve(piece);
      if (sent % 20 === 0) usedMax = Math.max(usedMax, used());
    }
    yield Buffer.from('",2\n2023-08-31,c,3\n');
  };
  const before = used();
  const seen: unknown[] = [];
  for await (const item of readImportFile(source())) {
    if (item.kind !== 'batch') continue;
    seen.push(...item.rows.map((row) => row.campaignName), ...item.rejected.map(({ line, column }) => [line, column]));
  }
  expect(seen).toEqual(['a', 'c', [3, 'campaign']]);
  expect(usedMax - before).toBeLessThan(25_000_000);
});
