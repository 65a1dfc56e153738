import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import type { ClientOptions } from '@pca/sdk/node';

const sdkFolder = join(import.meta.dirname, '../../../libs/sdk');

/** A site of somebody who sends behaviour events: at every path the same page, with the SDK as `window.analytics`. */
export interface ShopSite {
  /** Each host is an origin of its own, and so has a localStorage of its own. */
  url(host: string, path?: string): string;
  stop(): Promise<void>;
}

const page = (options: object, sdk: string): string => `<!doctype html><title>Shop</title><body>
  <button data-pca-event="plan chosen" data-pca-plan-name="pro">Pro</button>
  <script type="module">
    import { createClient } from '${sdk}';
    window.errors = [];
    window.analytics = createClient({ ...${JSON.stringify(options)}, onError: (error) => window.errors.push(error) });
  </script></body>`;

/**
 * The SDK comes from the files that npm publishes, as they are: a browser takes them without a bundler.
 * @param optionsOf of the client on a host.
 */
export const startShopSite = async (optionsOf: (host: string) => ClientOptions): Promise<ShopSite> => {
  const manifest = JSON.parse(await readFile(join(sdkFolder, 'package.json'), 'utf8')) as { exports: { '.': { default: string } } };
  const entry = normalize(`/sdk/${manifest.exports['.'].default}`);
  const http = createServer((request, response) => {
    const [path = '/'] = (request.url ?? '/').split('?');
    const host = (request.headers.host ?? '').split(':')[0] ?? '';
    if (path === '/favicon.ico') response.writeHead(204).end();
    else if (path.startsWith('/sdk/')) {
      readFile(join(sdkFolder, path.slice('/sdk'.length))).then(
        (script) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(script),
        () => response.writeHead(404).end(),
      );
    } else response.writeHead(200, { 'content-type': 'text/html' }).end(page(optionsOf(host), entry));
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  const { port } = http.address() as AddressInfo;
  return {
    url: (host, path = '/') => `http://${host}:${port}${path}`,
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
};
