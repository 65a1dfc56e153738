import { afterEach, expect, it, vi } from 'vitest';
import { readEnv } from './env.js';

afterEach(() => vi.restoreAllMocks());

// Broken by: white space that belongs to an address, an empty list that trusts somebody, a version of IP that is not understood.
it.each([
  ['', []],
  [' ', []],
  ['10.0.0.1', ['10.0.0.1']],
  ['10.0.0.0/8, fd00::/8 ,::1,192.0.2.1/32', ['10.0.0.0/8', 'fd00::/8', '::1', '192.0.2.1/32']],
])('reads %j as the proxies to trust', (text, proxies) => {
  expect(readEnv({ PORT: '1', TRUST_PROXY: text }).TRUST_PROXY).toEqual(proxies);
});

// Broken by: a setting that trusts everybody, or hops of which nobody knows who they are, and that Fastify would take or fail on later.
it.each(['true', '1', 'loopback', 'proxy.example', '10.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.1/8/8', '10.0.0.1;10.0.0.2'])(
  'refuses to trust %s',
  (text) => {
    const written: string[] = [];
    vi.spyOn(process.stderr, 'write').mockImplementation((line) => written.push(String(line)) > 0);
    vi.spyOn(process, 'exit').mockImplementation((code) => {
      throw new Error(`exit ${code}`);
    });
    expect(() => readEnv({ PORT: '1', TRUST_PROXY: text })).toThrow('exit 78');
    expect(written.join('')).toMatch(/TRUST_PROXY.*must be addresses or CIDRs/);
  },
);
