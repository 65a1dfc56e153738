import { registerHooks } from 'node:module';
import '../../../outbox/test/processes/from-source.mjs';
import { mutants } from './mutants.ts';

/**
 * Lets a spawned process run from the TypeScript sources, broken as the mutant says whose number stands in this URL (`?mutant=3`):
 * node --import this.
 */
const mutant = mutants[Number(new URL(import.meta.url).searchParams.get('mutant'))];
if (!mutant) throw new Error(`There is no such mutant: ${import.meta.url}`);
const source = new URL('../../src/', import.meta.url).href;

/** However a text is broken into lines. */
const patternOf = (text) =>
  new RegExp(
    text
      .trim()
      .split(/\s+/)
      .map((word) => RegExp.escape(word))
      .join('\\s+'),
    'g',
  );

const mutated = (file, text) => {
  let changed = text;
  for (const { from, to } of mutant.changes.filter((change) => change.file === file)) {
    const found = changed.match(patternOf(from))?.length ?? 0;
    if (found !== 1) throw new Error(`The mutant "${mutant.name}" needs to be brought up to date: ${file} has ${found} times: ${from}`);
    changed = changed.replace(patternOf(from), () => to);
  }
  return changed;
};

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    return url.startsWith(source) ? { ...loaded, source: mutated(url.slice(source.length), String(loaded.source)) } : loaded;
  },
});
