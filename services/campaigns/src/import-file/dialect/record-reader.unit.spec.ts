import { seededRandom, type SeededRandom } from '@pca/testing';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { importLimits } from '../import-item.js';
import { RecordReader } from './record-reader.js';

interface Seen {
  records: [line: number, cells: string[]][];
  faults: [line: number, reason: string, excerpt: string, cell: number][];
}

const read = (chunks: Iterable<string>, dialect: { delimiter: string; width?: number }, recordCharsMax?: number): Seen => {
  const seen: Seen = { records: [], faults: [] };
  const reader = new RecordReader(
    dialect,
    { record: (...record) => void seen.records.push(record), fault: (...fault) => void seen.faults.push(fault) },
    recordCharsMax,
  );
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return seen;
};

const randomChunks = function* (text: string, random: SeededRandom, chunkMax: number): Generator<string> {
  for (let at = 0; at < text.length;) {
    const size = random.int(chunkMax + 1);
    yield text.slice(at, at + size);
    at += size;
  }
};

/** The twin: one character after the other over the whole text, with the line where each record starts. Only for well-formed text. */
const readSlowly = (text: string, delimiter: string): Seen['records'] => {
  const records: Seen['records'] = [];
  let [cells, cell, quoted, line, start]: [string[], string, boolean, number, number] = [[], '', false, 1, 1];
  let nothing = true;
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    const breaks = character === '\n' || (character === '\r' && text[at + 1] !== '\n');
    if (quoted) {
      if (breaks) line++;
      if (character !== '"') cell += character;
      else if (text[at + 1] === '"') cell += text[++at];
      else quoted = false;
    } else if (character === '"') {
      quoted = true;
      nothing = false;
    } else if (character === delimiter) {
      cells.push(cell);
      cell = '';
      nothing = false;
    } else if (character === undefined || character === '\n' || character === '\r') {
      if (character === '\r' && text[at + 1] === '\n') at++;
      if (!nothing) records.push([start, [...cells, cell]]);
      line++;
      start = line;
      [cells, cell, nothing] = [[], '', true];
    } else {
      cell += character;
      nothing = false;
    }
  }
  return records;
};

const write = (table: string[][], delimiter: string, random: SeededRandom): string => {
  const lineBreak = random.pick(['\n', '\r\n', '\r']);
  const rows = table.map((row) =>
    row
      .map((cell) =>
        /["\r\n]/.test(cell) || cell.includes(delimiter) || cell.startsWith(' ') || random.int(3) === 0
          ? `"${cell.replaceAll('"', '""')}"`
          : cell,
      )
      .join(delimiter),
  );
  return rows.map((row) => row + (random.int(8) === 0 ? lineBreak : '') + lineBreak).join('') + (random.int(2) === 0 ? '' : rows[0]);
};

describe('well-formed text', () => {
  it('is read as by the twin, wherever chunks end', () => {
    const random = seededRandom('records');
    for (let n = 0; n < 1_500; n++) {
      const delimiter = random.pick([',', ';', '\t', '|']);
      const alphabet = ['a', 'b', '"', delimiter, '\n', '\r\n', '\r', ' ', 'é', '😀', 'مرحبا'];
      const width = 1 + random.int(4);
      const cell = (): string => Array.from({ length: random.int(6) }, () => random.pick(alphabet)).join('');
      const table = Array.from({ length: random.int(12) }, () => ['x', ...Array.from({ length: width - 1 }, cell)]);
      const text = write(table.length === 0 ? [['x']] : table, delimiter, random);
      const expected = readSlowly(text, delimiter);
      for (const chunkMax of [1, 3, 1_000]) {
        const seen = read(randomChunks(text, random, chunkMax), { delimiter });
        expect(seen, `seed ${random.seed}, ${JSON.stringify(text)}`).toEqual({ records: expected, faults: [] });
      }
    }
  });

  it('is read as csv-parse reads it', () => {
    const random = seededRandom('csv-parse');
    for (let n = 0; n < 500; n++) {
      const cell = (): string => Array.from({ length: random.int(6) }, () => random.pick(['a', '"', ',', '\n', 'ü'])).join('');
      const text = write(
        Array.from({ length: 1 + random.int(9) }, () => ['x', cell(), cell()]),
        ',',
        random,
      );
      const expected = parse(text, { record_delimiter: ['\r\n', '\n', '\r'], skip_empty_lines: true, relax_column_count: true });
      const seen = read(randomChunks(text, random, 50), { delimiter: ',' });
      expect(
        seen.records.map(([, cells]) => cells),
        `seed ${random.seed}, ${JSON.stringify(text)}`,
      ).toEqual(expected);
    }
  });

  it('keeps a quote in the middle of a bare cell, and spaces around a quoted one are no part of it', () => {
    expect(read(['5" screen,x\n', 'a, "b, c" ,d\n'], { delimiter: ',' }).records).toEqual([
      [1, ['5" screen', 'x']],
      [2, ['a', 'b, c', 'd']],
    ]);
  });
});

describe('broken text', () => {
  it('gives the same records and faults wherever chunks end, whatever the text', () => {
    const random = seededRandom('broken');
    for (let n = 0; n < 4_000; n++) {
      const alphabet = [
        'a',
        'a',
        '"',
        '"',
        ',',
        ',',
        '\n',
        '\n',
        '\r\n',
        '\r',
        ' ',
        '""',
        ',"',
        '",',
        'a,b\n',
        'long text without an end ',
      ];
      const text = Array.from({ length: random.int(60) }, () => random.pick(alphabet)).join('');
      const [width, recordCharsMax] = [1 + random.int(3), 4 + random.int(40)];
      const whole = read([text], { delimiter: ',', width }, recordCharsMax);
      for (const chunkMax of [1, 2, 9, 40])
        expect(
          read(randomChunks(text, random, chunkMax), { delimiter: ',', width }, recordCharsMax),
          `seed ${random.seed}, width ${width}, at most ${recordCharsMax}: ${JSON.stringify(text)}`,
        ).toEqual(whole);
      const physical = text.split(/\r\n|\n|\r/);
      for (const [line, , excerpt] of whole.faults)
        expect(
          physical[line - 1]?.startsWith(excerpt.split(/[\r\n]/)[0] ?? ''),
          `seed ${random.seed}, line ${line}: ${JSON.stringify(text)}`,
        ).toBe(true);
      for (const [line, cells] of whole.records)
        expect(physical[line - 1]?.replaceAll('"', '').trimStart(), `seed ${random.seed}, line ${line}: ${JSON.stringify(text)}`).toMatch(
          new RegExp(
            `^${cells[0]
              ?.replaceAll('"', '')
              .split(/[\r\n]/)[0]
              ?.trimStart()}`,
          ),
        );
    }
  });

  it('loses one line to a quote that is not doubled', () => {
    const seen = read(['a,b\n1,"say "hi""\n2,"x"\n3,y\n'], { delimiter: ',', width: 2 });
    expect(seen.records.map(([line]) => line)).toEqual([1, 3, 4]);
    expect(seen.faults).toEqual([[2, 'has a quote inside a quoted cell that is not doubled', '1,"say "hi""', 1]]);
  });

  it('loses one line to a quote that is never closed, however much follows', () => {
    const rows = Array.from({ length: 100_000 }, (_, index) => `${index},plain\n`).join('');
    for (const tail of ['', '1,"x"\n', '1,5"\n']) {
      const seen = read(['a,b\n1,"open\n', rows, tail], { delimiter: ',', width: 2 });
      expect(seen.faults.map(([line]) => line)).toEqual([2]);
      expect(seen.records).toHaveLength(100_001 + (tail === '' ? 0 : 1));
      expect(seen.records[1]).toEqual([3, ['0', 'plain']]);
    }
  });

  it('drops a quoted cell over the limit with all its lines, and reads on behind its record', () => {
    const prose = 'Once upon a time; there was, perhaps a line\r\n'.repeat(200_000);
    const seen = read(['a,b,c\n1,"', prose, '","and\nmore"\n2,x,y\n'], { delimiter: ',', width: 3 });
    expect(seen.faults).toEqual([[2, 'is longer than 262144 characters', expect.stringMatching(/^1,"Once/), 1]]);
    expect(seen.records.slice(1)).toEqual([[200_004, ['2', 'x', 'y']]]);
  });

  it('says so when a dropped cell goes on to the end of the file', () => {
    const seen = read(['a,b\n1,"', 'word '.repeat(100_000)], { delimiter: ',', width: 2 });
    expect(seen.faults.map(([line, reason]) => [line, reason])).toEqual([
      [2, 'is longer than 262144 characters'],
      [2, 'opens a quote that is never closed, so that nothing behind it could be read'],
    ]);
  });

  it('names the bare cell that is over the limit', () => {
    const seen = read(['a,b,c\n1,', 'x'.repeat(importLimits.recordCharsMax), ',3\n4,5,6\n'], { delimiter: ',', width: 3 });
    expect(seen.faults).toEqual([[2, 'is longer than 262144 characters', expect.stringMatching(/^1,xxx/), 1]]);
    expect(seen.records.slice(1)).toEqual([[3, ['4', '5', '6']]]);
  });

  it('takes a record of exactly the limit', () => {
    const cell = 'x'.repeat(importLimits.recordCharsMax - 2);
    expect(read([`a,${cell}\n`], { delimiter: ',' }).records).toEqual([[1, ['a', cell]]]);
    expect(read([`a,${cell}x\n`], { delimiter: ',' }).faults).toHaveLength(1);
  });

  it('gives up on a file that would have to be read over and over', () => {
    // Every line leaves a quote open when it is read by itself, and none is ever closed when they are read together.
    const line = 'a","\n';
    expect(() =>
      read(
        Array.from({ length: 200 }, () => line.repeat(1_000)),
        { delimiter: ',', width: 2 },
      ),
    ).toThrow(expect.objectContaining({ code: 'IMPORT_UNREADABLE' }));
  });

  it('holds no more text than the limit and a chunk', () => {
    const reader = new RecordReader({ delimiter: ',', width: 2 }, { record: () => undefined, fault: () => undefined });
    for (let n = 0; n < 200; n++) {
      reader.push(n === 0 ? '"' : 'x'.repeat(65_536));
      expect((reader as unknown as { text: string }).text.length).toBeLessThanOrEqual(importLimits.recordCharsMax + 2 * 65_536);
    }
  });
});
