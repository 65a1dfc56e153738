import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differenceOf, stalenessOf } from './staleness.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pca-stale-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('stalenessOf', () => {
  it('names what is missing and what differs, and passes what is the same', () => {
    writeFileSync(join(root, 'same'), 'a\nb\n');
    writeFileSync(join(root, 'old'), 'a\nb\n');
    const stale = stalenessOf(
      root,
      new Map([
        ['same', 'a\nb\n'],
        ['old', 'a\nc\n'],
        ['new', 'x\n'],
      ]),
    );
    expect(stale).toEqual([
      { path: 'old', hint: '  from line 2:\n  - b\n  - \n  + c\n  + ' },
      { path: 'new', hint: '  it is not there yet' },
    ]);
  });
});

describe('differenceOf', () => {
  it('shows a few lines from the first difference on, also where one text ends', () => {
    expect(differenceOf('a\nb\nc\nd\ne', 'a\nB\nC\nD\nE')).toBe('  from line 2:\n  - b\n  - c\n  - d\n  + B\n  + C\n  + D');
    expect(differenceOf('a\nb', 'a')).toBe('  from line 2:\n  - b');
  });
});
