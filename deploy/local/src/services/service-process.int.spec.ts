import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@pca/testing';
import { expect, it } from 'vitest';
import { ServiceProcess } from './service-process.js';

it('ends and restarts a service whose event loop hangs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pca-hang-'));
  const port = await freePort();
  const main = join(folder, 'main.mjs');
  // It hangs at the third look, for ever.
  writeFileSync(
    main,
    `import { createServer } from 'node:http';
let looks = 0;
createServer((_request, response) => { if (++looks > 2) for (;;); response.end('ok'); }).listen(${port}, '127.0.0.1');`,
  );
  const news: string[] = [];
  const service = new ServiceProcess({
    name: 'hanging',
    main,
    nodeFlags: [],
    url: `http://127.0.0.1:${port}`,
    env: { PATH: process.env['PATH'] ?? '' },
    onLine: () => undefined,
    onNews: (message) => news.push(message),
    onChange: () => undefined,
    silentMsMax: 500,
  });
  try {
    service.start();
    await expect.poll(() => service.restarts).toBeGreaterThan(0);
    expect(news.join('; ')).toContain('hanging answers nothing any more; ending it');
    await expect.poll(() => service.state).toBe('ready');
  } finally {
    const stopped = service.stop();
    service.kill();
    await stopped;
    rmSync(folder, { recursive: true, force: true });
  }
});
