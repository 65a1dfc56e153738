import { importLimits } from '../import-item.js';

const plainAscii = /^[\x20-\x7e]*$/;
const lineBreaks = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
// NUL and unpaired surrogates cannot be stored as text; other control characters never belong into a name.
const controlCharacter = /[\0-\x1f\x7f-\x9f]/;
const unpairedSurrogate = /\p{Surrogate}/u;
const invisible = /[\p{C}\u2028\u2029]/gu;

/** A cell by its position; '' behind the end, where no cell of a row of full width can be. */
export const cellAt = (cells: readonly string[], index: number): string => cells[index] ?? '';

export type TextReading = { readonly text: string } | { readonly reason: string };

/**
 * A cell of words: trimmed, NFC, line breaks and tabs inside turned into one space. Right-to-left text and its marks are kept.
 * What cannot be stored or shows that the encoding is wrong is refused with a reason.
 */
export const readText = (cell: string, charsMax: number): TextReading => {
  let text = cell.trim();
  if (!plainAscii.test(text)) {
    text = text.replace(lineBreaks, ' ').normalize('NFC');
    if (text.includes('\0')) return { reason: 'holds a NUL byte' };
    if (controlCharacter.test(text)) return { reason: 'holds a control character' };
    if (text.includes('\ufffd') || unpairedSurrogate.test(text))
      return { reason: 'holds bytes that are no text in the encoding of this file; name the right one with --encoding' };
  }
  return text.length > charsMax ? { reason: `is longer than ${charsMax} characters` } : { text };
};

/** A faulty value as a person may see it: shortened, nothing invisible, nothing that reorders the text around it. */
export const excerptOf = (value: string): string => {
  const points = Array.from(value.slice(0, 2 * (importLimits.excerptCharsMax + 1)));
  const shown = points.slice(0, importLimits.excerptCharsMax).join('');
  const safe = shown.replace(invisible, (point) => `\\u{${point.codePointAt(0)?.toString(16)}}`);
  return flatCopy(points.length > importLimits.excerptCharsMax ? `${safe}…` : safe);
};

/**
 * The same text without a tie to the text it was cut from: the engine keeps the whole parent of a cut of 13 and more characters alive,
 * so that a cache of short names would hold every piece of the file that they came from.
 */
export const flatCopy = (text: string): string => {
  if (text.length < 13) return text;
  const encoding = plainAscii.test(text) ? 'latin1' : 'utf16le';
  return Buffer.from(text, encoding).toString(encoding);
};

const cacheEntriesMax = 4_096;

/** Reads each distinct text once, as long as there are not too many: names and dates repeat on almost every row. */
export const remembering = <T>(read: (text: string) => T): ((text: string) => T) => {
  const seen = new Map<string, T>();
  return (text) => {
    const known = seen.get(text);
    if (known !== undefined) return known;
    const copy = flatCopy(text);
    const value = read(copy);
    if (seen.size >= cacheEntriesMax) seen.clear();
    // A giant cell is refused anyway and is not worth the memory.
    if (copy.length <= importLimits.textCharsMax) seen.set(copy, value);
    return value;
  };
};
