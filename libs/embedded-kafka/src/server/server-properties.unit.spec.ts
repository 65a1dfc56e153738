import { expect, it } from 'vitest';
import { serverProperties } from './server-properties.js';

const input = { logDir: '/data', port: 1001, controllerPort: 1002, listeners: [], settings: {} };
const lineOf = (text: string, name: string): string | undefined => text.split('\n').find((line) => line.startsWith(`${name}=`));

// Broken by: listening anywhere else, or telling clients of the controller.
it('listens on loopback alone', () => {
  const text = serverProperties(input);
  expect(lineOf(text, 'listeners')).toBe('listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002');
  expect(lineOf(text, 'advertised.listeners')).toBe('advertised.listeners=PLAINTEXT://127.0.0.1:1001');
});

// Broken by: a listener that lacks one of the three places, or clients that are told the port behind the proxy.
it('has further listeners, which may be told under another port', () => {
  const text = serverProperties({
    ...input,
    listeners: [
      { name: 'PROXIED', port: 1003, advertisedPort: 1004, protocol: 'PLAINTEXT' },
      { name: 'SECURE', port: 1005, protocol: 'SASL_SSL' },
    ],
  });
  expect(lineOf(text, 'listeners')).toContain(',PROXIED://127.0.0.1:1003,SECURE://127.0.0.1:1005,');
  expect(lineOf(text, 'advertised.listeners')).toMatch(/,PROXIED:\/\/127\.0\.0\.1:1004,SECURE:\/\/127\.0\.0\.1:1005$/);
  expect(lineOf(text, 'listener.security.protocol.map')).toMatch(/=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:/);
});

// Broken by: settings before our own, and by a backslash or a letter beyond ASCII as it stands, which the file's format reads otherwise.
it('takes settings over its own, with every character as it is', () => {
  const text = serverProperties({ ...input, logDir: '/dä\\ta', settings: { 'num.io.threads': '7', x: 'a\nb 😀' } });
  expect(lineOf(text, 'num.io.threads')).toBe('num.io.threads=7');
  expect(text.match(/^num\.io\.threads=/gm)).toHaveLength(1);
  expect(lineOf(text, 'log.dirs')).toBe('log.dirs=/d\\u00e4\\\\ta');
  expect(lineOf(text, 'x')).toBe('x=a\\u000ab \\ud83d\\ude00');
});
