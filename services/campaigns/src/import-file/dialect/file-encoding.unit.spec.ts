import { seededRandom } from '@pca/testing';
import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import { detectEncoding, type FileEncoding, fileEncodings, parseEncoding, textDecoding } from './file-encoding.js';

const unreadable = (message: RegExp) => expect.objectContaining({ code: 'IMPORT_UNREADABLE', message: expect.stringMatching(message) });
const text = 'Date;Kampagne;Klicks\r\n31.08.2023;Übergröße – »Sommer«;12\r\n';

describe('detectEncoding', () => {
  it.each([
    ['utf-8', false],
    ['utf-8', true],
    ['utf-16le', false],
    ['utf-16le', true],
    ['utf-16be', false],
    ['utf-16be', true],
  ] as const)('knows %s, with a mark: %s', (encoding, addBOM) => {
    expect(detectEncoding(iconv.encode(text, encoding, { addBOM }), true)).toEqual({ encoding, assumed: false });
  });

  it('knows UTF-16 whose names are in another script', () => {
    const names = 'Date,Campaign,Clicks\n2023-08-31,夏季大促销活动第一期一一一,12\n2023-08-31,حملة الصيف الكبرى,7\n';
    expect(detectEncoding(iconv.encode(names, 'utf-16le'), true).encoding).toBe('utf-16le');
    expect(detectEncoding(iconv.encode(names, 'utf-16be'), true).encoding).toBe('utf-16be');
  });

  it('takes accents between plain letters for windows-1252, and says that it is a guess', () => {
    expect(detectEncoding(iconv.encode(text, 'windows-1252'), true)).toEqual({ encoding: 'windows-1252', assumed: true });
  });

  it.each(['windows-1251', 'shift_jis', 'gb18030', 'euc-kr'] as const)('asks for %s, which it cannot tell from others', (encoding) => {
    const name = {
      'windows-1251': 'Летняя кампания',
      shift_jis: '夏のキャンペーン',
      gb18030: '夏季促销活动',
      'euc-kr': '여름 캠페인 하나',
    }[encoding];
    const bytes = iconv.encode(`date,campaign,clicks\n2023-08-31,${name},5\n`, encoding);
    expect(() => detectEncoding(bytes, true)).toThrow(
      expect.objectContaining({
        code: 'IMPORT_UNREADABLE',
        details: { option: '--encoding', candidates: expect.arrayContaining([encoding]) },
      }),
    );
    expect(detectEncoding(bytes, true, encoding)).toEqual({ encoding, assumed: false });
  });

  it('does not mind a character that the end of the head cuts through', () => {
    const bytes = Buffer.from('name,😀');
    for (let cut = 1; cut <= 3; cut++) {
      expect(detectEncoding(bytes.subarray(0, bytes.length - cut), false).encoding).toBe('utf-8');
      expect(() => detectEncoding(bytes.subarray(0, bytes.length - cut), true)).not.toThrow(TypeError);
    }
  });

  it('is not led astray by a few NUL bytes', () => {
    expect(detectEncoding(Buffer.from(`${text.repeat(3)}a\0b`), true).encoding).toBe('utf-8');
  });

  it.each([
    [Buffer.from([0x50, 0x4b, 3, 4, 20]), /Excel workbook/],
    [Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1]), /old Excel workbook/],
    [Buffer.from([0x1f, 0x8b, 8]), /gzip/],
    [Buffer.from('%PDF-1.7'), /PDF/],
    [Buffer.from([0xff, 0xfe, 0, 0]), /UTF-32/],
  ])('says what a file is that is no text', (bytes, message) => {
    expect(() => detectEncoding(bytes, true)).toThrow(unreadable(message));
  });

  it('refuses an encoding that the byte order mark contradicts', () => {
    const bytes = iconv.encode(text, 'utf-8', { addBOM: true });
    expect(() => detectEncoding(bytes, true, 'windows-1252')).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT' }));
    expect(detectEncoding(iconv.encode(text, 'utf-16be', { addBOM: true }), true, parseEncoding('UTF-16')).encoding).toBe('utf-16be');
  });
});

describe('textDecoding', () => {
  it('gives the same text wherever chunks end, in every encoding, surrogate pairs and marks included', () => {
    const random = seededRandom('encodings');
    for (let n = 0; n < 400; n++) {
      const encoding: FileEncoding = random.pick(fileEncodings);
      const wide = encoding.startsWith('utf') || encoding === 'gb18030';
      const alphabet = wide ? ['a', ',', 'é', '夏', '😀', '𝒳', 'م', '\n'] : ['a', ',', 'b', '\n'];
      const sent = Array.from({ length: random.int(40) }, () => random.pick(alphabet)).join('');
      const bytes = iconv.encode(sent, encoding, { addBOM: encoding.startsWith('utf') && random.int(2) === 0 });
      const decoding = textDecoding(encoding);
      let received = '';
      for (let at = 0; at < bytes.length;) {
        const size = 1 + random.int(4);
        received += decoding.write(bytes.subarray(at, at + size));
        at += size;
      }
      expect(received + decoding.end(), `seed ${random.seed}, ${encoding}`).toBe(sent);
    }
  });
});

describe('parseEncoding', () => {
  it.each([
    ['latin-1', 'windows-1252'],
    ['ISO-8859-1', 'windows-1252'],
    ['UTF8', 'utf-8'],
    ['Shift_JIS', 'shift_jis'],
    ['cp1252', 'windows-1252'],
  ])('knows %s', (name, encoding) => {
    expect(parseEncoding(name)).toBe(encoding);
  });

  it.each(['base64', 'utf-7', 'hex', 'constructor', ''])('refuses %j', (name) => {
    expect(() => parseEncoding(name)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT' }));
  });
});
