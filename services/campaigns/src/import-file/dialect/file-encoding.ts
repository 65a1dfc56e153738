import { isUtf8 } from 'node:buffer';
import { DomainError } from '@pca/errors';

/** Encodings that `--encoding` takes, by their WHATWG names; latin-1 means windows-1252, as it does everywhere on the web. */
export const fileEncodings = [
  'utf-8',
  'utf-16le',
  'utf-16be',
  'windows-1252',
  'windows-1250',
  'windows-1251',
  'windows-1253',
  'windows-1254',
  'windows-1255',
  'windows-1256',
  'windows-1257',
  'windows-1258',
  'iso-8859-2',
  'iso-8859-5',
  'iso-8859-7',
  'iso-8859-8',
  'iso-8859-9',
  'iso-8859-15',
  'koi8-r',
  'koi8-u',
  'macintosh',
  'shift_jis',
  'euc-jp',
  'gb18030',
  'big5',
  'euc-kr',
] as const;

export type FileEncoding = (typeof fileEncodings)[number];

const otherNames: Readonly<Record<string, FileEncoding>> = {
  latin1: 'windows-1252',
  iso88591: 'windows-1252',
  ansi: 'windows-1252',
  ascii: 'utf-8',
  cp1252: 'windows-1252',
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  utf16: 'utf-16le',
  ucs2: 'utf-16le',
  sjis: 'shift_jis',
  gbk: 'gb18030',
  gb2312: 'gb18030',
};

const bare = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** @throws DomainError BAD_USER_INPUT when there is no such encoding. */
export const parseEncoding = (name: string): FileEncoding => {
  const wanted = bare(name);
  const found =
    fileEncodings.find((encoding) => bare(encoding) === wanted) ?? (Object.hasOwn(otherNames, wanted) ? otherNames[wanted] : undefined);
  if (found === undefined)
    throw new DomainError('BAD_USER_INPUT', 'There is no encoding of that name', { option: '--encoding', candidates: fileEncodings });
  return found;
};

const marks: readonly { bytes: readonly number[]; encoding: FileEncoding }[] = [
  { bytes: [0xef, 0xbb, 0xbf], encoding: 'utf-8' },
  { bytes: [0xff, 0xfe], encoding: 'utf-16le' },
  { bytes: [0xfe, 0xff], encoding: 'utf-16be' },
];

const notText: readonly { bytes: readonly number[]; what: string }[] = [
  { bytes: [0x50, 0x4b, 0x03, 0x04], what: 'a zip archive or an Excel workbook' },
  { bytes: [0xd0, 0xcf, 0x11, 0xe0], what: 'an old Excel workbook' },
  { bytes: [0x1f, 0x8b], what: 'compressed with gzip' },
  { bytes: [0x25, 0x50, 0x44, 0x46], what: 'a PDF document' },
  { bytes: [0x50, 0x41, 0x52, 0x31], what: 'a Parquet file' },
  { bytes: [0xff, 0xfe, 0x00, 0x00], what: 'text in UTF-32' },
  { bytes: [0x00, 0x00, 0xfe, 0xff], what: 'text in UTF-32' },
];

const startsWith = (head: Buffer, bytes: readonly number[]): boolean =>
  head.length >= bytes.length && bytes.every((byte, index) => head[index] === byte);

// In UTF-16, digits, delimiters and line ends have a zero for their high byte, always on the same side; a stray NUL does not look like
// that.
const utf16WithoutMark = (head: Buffer): FileEncoding | undefined => {
  let even = 0;
  let odd = 0;
  for (let index = 0; index < head.length; index++) {
    if (head[index] !== 0) continue;
    if (index % 2 === 0) even++;
    else odd++;
  }
  const enough = head.length / 20;
  if (odd > enough && odd > 4 * even) return 'utf-16le';
  if (even > enough && even > 4 * odd) return 'utf-16be';
  return undefined;
};

// The last character of a head that is cut off may be incomplete.
const validUtf8 = (head: Buffer, whole: boolean): boolean => {
  if (isUtf8(head)) return true;
  if (whole) return false;
  for (let cut = 1; cut <= 3; cut++) if (isUtf8(head.subarray(0, head.length - cut))) return true;
  return false;
};

// Western names have single accented letters between plain ones; four high bytes in a row are a word in another script.
const looksWestern = (head: Buffer): boolean => {
  const undefinedIn1252 = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);
  let run = 0;
  for (const byte of head) {
    run = byte >= 0x80 ? run + 1 : 0;
    if (run >= 4 || undefinedIn1252.has(byte)) return false;
  }
  return true;
};

/**
 * The encoding of a file from its first bytes. `assumed` says that windows-1252 is a guess: no byte contradicts it, but nothing proves it.
 * @param whole The head is the whole file.
 * @throws DomainError IMPORT_UNREADABLE for what is no text or in an encoding that cannot be told; BAD_USER_INPUT when a byte order mark
 * contradicts the encoding that was asked for.
 */
export const detectEncoding = (head: Buffer, whole: boolean, asked?: FileEncoding): { encoding: FileEncoding; assumed: boolean } => {
  const foreign = notText.find(({ bytes }) => startsWith(head, bytes));
  if (foreign) throw new DomainError('IMPORT_UNREADABLE', `The file is ${foreign.what}, not delimited text; export it as CSV`);
  const marked = marks.find(({ bytes }) => startsWith(head, bytes))?.encoding;
  if (marked && asked && marked !== asked && !(asked === 'utf-16le' && marked === 'utf-16be'))
    throw new DomainError('BAD_USER_INPUT', `The file says by its byte order mark that it is ${marked}, not ${asked}`, {
      option: '--encoding',
      candidates: [marked],
    });
  const certain = marked ?? asked ?? utf16WithoutMark(head) ?? (validUtf8(head, whole) ? 'utf-8' : undefined);
  if (certain) return { encoding: certain, assumed: false };
  if (looksWestern(head)) return { encoding: 'windows-1252', assumed: true };
  throw new DomainError('IMPORT_UNREADABLE', 'The file is not UTF-8 or UTF-16, and its encoding cannot be told; name it with --encoding', {
    option: '--encoding',
    candidates: fileEncodings.slice(3),
  });
};

/** Turns chunks of bytes into text, whatever the boundaries between chunks cut through, and drops a byte order mark. */
export interface TextDecoding {
  write(bytes: Buffer): string;
  end(): string;
}

/** By Node's own decoder: the one of iconv-lite loses the end of a chunk when a character of four bytes lies across its beginning. */
export const textDecoding = (encoding: FileEncoding): TextDecoding => {
  const decoder = new TextDecoder(encoding);
  return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
};
