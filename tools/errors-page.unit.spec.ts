import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '@pca/errors';
import { describe, expect, it } from 'vitest';

const page = readFileSync(join(import.meta.dirname, '../docs/errors.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => /^\| `[A-Z_]+` \|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()));

describe('docs/errors.md', () => {
  it('has the codes of the catalogue, no more and no fewer, in its order', () => {
    expect(rows.map(([, code]) => code)).toEqual(Object.keys(errorCatalogue).map((code) => `\`${code}\``));
  });

  it('says the same of each as the catalogue, with a meaning and something to do', () => {
    for (const [, code = '', status, again, meaning = '', remedy = ''] of rows) {
      const known = errorCatalogue[code.slice(1, -1) as keyof typeof errorCatalogue];
      expect({ code, status, again }).toEqual({ code, status: String(known.status), again: known.retryable ? 'yes' : 'no' });
      expect(meaning.length, code).toBeGreaterThan(20);
      expect(remedy.length, code).toBeGreaterThan(10);
    }
  });
});
