import { expect, it } from 'vitest';
import { OperatorError } from '../operator-error.js';
import { durationSeconds, parseOptions } from './options.js';

it('reads durations', () => {
  expect(['90s', '90', '30m', '1h', '7d'].map(durationSeconds)).toEqual([90, 90, 1_800, 3_600, 604_800]);
});

it.each(['', '0s', '-1h', '1w', '1.5h', '367d', '99999999999s', '1h30m', 'h'])('refuses the duration "%s"', (text) => {
  expect(() => durationSeconds(text)).toThrow(OperatorError);
});

it('tells the usage in one line when an option is wrong', () => {
  const options = { role: { type: 'string' } } as const;
  expect(parseOptions(['--role', 'x'], options, 'use it so')).toEqual({ role: 'x' });
  for (const args of [['--rule', 'x'], ['more'], ['--role']]) {
    expect(() => parseOptions(args, options, 'use it so')).toThrow(/^[^\n]+ Usage: use it so$/);
  }
});
