import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { seededRandom } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { lineSplitter } from './line-splitter.js';
import { openLogFile } from './log-file.js';
import { readLogLine } from './log-line.js';
import { openScreen } from './screen.js';
import { table } from './table.js';

describe('lines', () => {
  it('come whole however the chunks are cut, as splitting the whole text does', () => {
    const random = seededRandom('the line splitter');
    for (let round = 0; round < 200; round++) {
      const text = Array.from({ length: random.int(60) }, () => ['a', 'é', '😀', '\n', '\r\n', ' '][random.int(6)]).join('');
      const bytes = Buffer.from(text);
      const seen: string[] = [];
      const lines = lineSplitter((line) => seen.push(line));
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + random.int(5);
        lines.write(bytes.subarray(at, end));
        at = end;
      }
      lines.end();
      const expected = text.split('\n').map((line, index, all) => (index < all.length - 1 ? line.replace(/\r$/, '') : line));
      if (expected.at(-1) === '') expected.pop();
      expect(seen).toEqual(expected);
    }
  });

  it('come in pieces when one is longer than is kept', () => {
    const seen: string[] = [];
    const lines = lineSplitter((line) => seen.push(line), 10);
    lines.write(Buffer.from('x'.repeat(25)));
    lines.write(Buffer.from(`${'y'.repeat(12)}\nz`));
    lines.end();
    expect(Math.max(...seen.map((line) => line.length))).toBeLessThanOrEqual(10);
    expect(seen.join('')).toBe(`${'x'.repeat(25)}${'y'.repeat(12)}z`);
  });
});

describe('a log line', () => {
  it("shows pino's message and fields, without what machines need", () => {
    const line = {
      level: 40,
      time: Date.UTC(2026, 0, 1, 12),
      pid: 1,
      hostname: 'h',
      name: 'x',
      msg: 'slow',
      ms: 12,
      path: '/v1/a b',
      err: { message: 'no "x"' },
    };
    expect(readLogLine(JSON.stringify(line))).toEqual({
      time: '12:00:00.000',
      level: 'warn',
      text: 'slow ms=12 path="/v1/a b" err="no \\"x\\""',
    });
  });

  it('cannot move the cursor, start a new line or grow without end', () => {
    expect(readLogLine('\u001b[2J\u009bx\rfake')).toEqual({ time: '', level: 'info', text: '\\x1b[2J\\x9bx\\x0dfake' });
    expect(readLogLine(JSON.stringify({ msg: 'a\nb', level: 'error' }))).toEqual({ time: '', level: 'error', text: 'a\\x0ab' });
    expect(readLogLine('x'.repeat(5_000)).text.length).toBeLessThan(1_100);
    expect(readLogLine('{broken')).toEqual({ time: '', level: 'info', text: '{broken' });
  });
});

it('a log file keeps at most twice its limit, the newest', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pca-log-'));
  const path = join(folder, 'a.log');
  const faults: unknown[] = [];
  for (const first of [0, 500]) {
    const log = openLogFile(path, (error) => faults.push(error), 1_000);
    for (let index = first; index < first + 500; index++) log.append(`line ${index}`);
    log.close();
    log.append('too late');
  }
  expect(statSync(path).size + statSync(`${path}.1`).size).toBeLessThanOrEqual(2_000);
  const kept = `${readFileSync(`${path}.1`, 'utf8')}${readFileSync(path, 'utf8')}`.trimEnd().split('\n');
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => `line ${1_000 - kept.length + index}`));
  expect(faults).toEqual([]);
  rmSync(folder, { recursive: true });
  expect(existsSync(folder)).toBe(false);
});

describe('the screen', () => {
  const screenOn = (json: boolean) => {
    const out = new PassThrough();
    return { out, screen: openScreen({ colour: false, json, nameWidth: 8 }, out as unknown as NodeJS.WriteStream) };
  };

  it('prefixes each line with who wrote it', () => {
    const { out, screen } = screenOn(false);
    screen.program('alpha', JSON.stringify({ time: 0, level: 'info', msg: 'hello' }));
    expect(String(out.read())).toBe('00:00:00.000 alpha    INFO  hello\n');
  });

  it('passes JSON on as it is and makes JSON of the rest', () => {
    const { out, screen } = screenOn(true);
    screen.program('alpha', '{"msg":"as it is"}');
    screen.program('alpha', 'plain');
    screen.say('news', 'warn');
    screen.block(['a table'], { msg: 'ready' });
    const records = String(out.read())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(records).toMatchObject([{ msg: 'as it is' }, { name: 'alpha', msg: 'plain' }, { level: 'warn', msg: 'news' }, { msg: 'ready' }]);
  });

  it('drops lines that nobody reads and says how many', () => {
    const { out, screen } = screenOn(false);
    for (let index = 0; index < 5_000; index++) screen.say('x'.repeat(900));
    expect(out.writableLength).toBeLessThan(2 ** 20 + 2_000);
    while (out.read() !== null);
    screen.say('again');
    expect(String(out.read())).toMatch(/^… \d+ lines were not shown/);
  });
});

it('a table has columns as wide as their widest cell', () => {
  expect(
    table(
      ['a', 'state'],
      [
        ['long name', 'x'],
        ['b', ''],
      ],
    ),
  ).toEqual(['  a           state', '  ─────────   ─────', '  long name   x', '  b']);
});
