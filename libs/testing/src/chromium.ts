import { existsSync } from 'node:fs';
import { requires } from './requires.js';

/** Where the package of Debian and Ubuntu has it. */
export const chromiumPath = '/usr/bin/chromium';

/** What every test starts it with: it asks nothing and calls nobody. As root, as which tests may run, it has no sandbox. */
export const chromiumFlags: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Whether specs that need a browser can run here: `describe.skipIf(!requiresChromium())`. */
export const requiresChromium = (): boolean => requires('Chromium', existsSync(chromiumPath), `there is no ${chromiumPath}`);
