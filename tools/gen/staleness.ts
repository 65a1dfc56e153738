import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Generated } from './generate.ts';

export interface Stale {
  path: string;
  /** The first lines that differ, `-` as it is and `+` as it should be. */
  hint: string;
}

const hintLinesMax = 3;

/** The files whose text on disk is not what it should be. */
export const stalenessOf = (root: string, files: Generated): Stale[] =>
  [...files].flatMap(([path, wanted]) => {
    const file = join(root, path);
    if (!existsSync(file)) return [{ path, hint: '  it is not there yet' }];
    const found = readFileSync(file, 'utf8');
    return found === wanted ? [] : [{ path, hint: differenceOf(found, wanted) }];
  });

/** Where two texts part: a hint for a person, not a patch. */
export const differenceOf = (found: string, wanted: string): string => {
  const before = found.split('\n');
  const after = wanted.split('\n');
  const at = after.findIndex((line, index) => line !== before[index]);
  const start = at === -1 ? after.length : at;
  const show = (lines: string[], mark: string): string[] =>
    lines.slice(start, start + hintLinesMax).map((line) => `  ${mark} ${line.slice(0, 120)}`);
  return [`  from line ${start + 1}:`, ...show(before, '-'), ...show(after, '+')].join('\n');
};
