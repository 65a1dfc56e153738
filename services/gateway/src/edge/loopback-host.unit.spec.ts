import { expect, it } from 'vitest';
import { isLoopbackHost, namesOf } from './loopback-host.js';

const none = namesOf('');

it.each([
  'localhost',
  'localhost:8000',
  'LOCALHOST:1',
  'localhost.',
  'app.localhost:80',
  '127.0.0.1:8000',
  '127.9.9.9',
  '[::1]',
  '[::1]:8000',
])('takes %s as this machine', (host) => {
  expect(isLoopbackHost(host, none)).toBe(true);
});

it.each([
  undefined,
  '',
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  'evil-localhost',
  '128.0.0.1',
  '0.0.0.0',
  '[::2]',
  '::1',
  'localhost:8000@evil.example',
  'localhost:',
])('refuses %s', (host) => {
  expect(isLoopbackHost(host, none)).toBe(false);
});

it('takes names that were allowed', () => {
  const allowed = namesOf(' Devbox , other.lan');
  expect(isLoopbackHost('devbox:8000', allowed)).toBe(true);
  expect(isLoopbackHost('other.lan', allowed)).toBe(true);
  expect(isLoopbackHost('box', allowed)).toBe(false);
});
