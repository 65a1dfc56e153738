import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDomainError } from '@pca/errors';
import { seededRandom } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { importLimits, type ImportReading, type ImportRow, type RejectedRow } from './import-item.js';
import { type ImportOptions, type ImportOptionTexts, parseImportOptions } from './import-options.js';
import { readImportFile } from './read-import-file.js';

const importOf = async (source: AsyncIterable<Buffer>, options: ImportOptions = {}) => {
  let reading: ImportReading | undefined;
  let bytesRead = 0;
  const rows: ImportRow[] = [];
  const rejected: RejectedRow[] = [];
  for await (const item of readImportFile(source, options)) {
    if (item.kind === 'opened') reading = item.reading;
    else {
      rows.push(...item.rows);
      rejected.push(...item.rejected);
      bytesRead = item.bytesRead;
    }
  }
  return { reading, rows, rejected, bytesRead };
};

async function* chunksOf(...chunks: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

const importText = (text: string, texts: ImportOptionTexts = {}) => importOf(chunksOf(text), parseImportOptions(texts));
const failure = (code: string, details: object) => expect.objectContaining({ code, details: expect.objectContaining(details) });

describe('rows', () => {
  it('are typed, with what the options add', async () => {
    const { reading, rows, rejected, bytesRead } = await importText(
      'Day;Campaign ID;Campaign;Status;Daily budget;Impr.;Clicks;Cost;Conversions;Revenue;Ad ID;Ad name;Age;CTR\r\n' +
        '31.08.2023;916;Übergröße;active;50,00 €;7.350;1;1,429999948 €;0,5;12;708746;Blue;30-34;0,01 %\r\n',
      { platform: 'Facebook', currency: 'EUR' },
    );
    expect(rejected).toEqual([]);
    expect(rows).toEqual([
      {
        line: 2,
        date: '2023-08-31',
        campaignId: '916',
        campaignName: 'Übergröße',
        platform: 'Facebook',
        currency: 'EUR',
        account: undefined,
        objective: undefined,
        vertical: undefined,
        status: 'active',
        dailyBudgetMicros: 50_000_000,
        breakdownKey: '[["ad_id","708746"],["age","30-34"]]',
        breakdown: { ad_id: '708746', ad_name: 'Blue', age: '30-34' },
        impressions: 7_350,
        clicks: 1,
        spendMicros: 1_430_000,
        conversionsMicros: 500_000,
        conversionValueMicros: 12_000_000,
      },
    ]);
    expect(reading).toMatchObject({ encoding: 'utf-8', delimiter: ';', decimal: ',', dateFormat: 'DD-MM-YYYY', ignored: ['CTR'] });
    expect(reading?.notices).toEqual([{ code: 'COLUMNS_IGNORED', message: expect.stringContaining('CTR') }]);
    expect(bytesRead).toBe(
      Buffer.byteLength(
        'Day;Campaign ID;Campaign;Status;Daily budget;Impr.;Clicks;Cost;Conversions;Revenue;Ad ID;Ad name;Age;CTR\r\n31.08.2023;916;Übergröße;active;50,00 €;7.350;1;1,429999948 €;0,5;12;708746;Blue;30-34;0,01 %\r\n',
      ),
    );
  });

  it('take platform and currency from their columns before the options', async () => {
    const { rows } = await importText('date,campaign,platform,currency,clicks\n2023-08-31,a,TikTok,gbp,1\n2023-08-31,b,,,1\n', {
      platform: 'Meta',
      currency: 'USD',
    });
    expect(rows.map((row) => [row.platform, row.currency])).toEqual([
      ['TikTok', 'GBP'],
      ['Meta', 'USD'],
    ]);
  });

  it('keep right-to-left names, in one normal form', async () => {
    const { rows } = await importText('date,campaign,clicks\n2023-08-31,"\u200fحملة الصيف, ٢٠٢٣",1\n2023-08-31,Cafe\u0301,2\n');
    expect(rows.map((row) => row.campaignName)).toEqual(['\u200fحملة الصيف, ٢٠٢٣', 'Caf\u00e9']);
  });

  it('pass over empty lines and rows of empty cells, and count physical lines', async () => {
    const { rows, rejected } = await importText('\n\ndate,campaign,clicks,note\n\n2023-08-31,a,1,"two\nlines"\n,,,\n,,\n2023-08-31,b,x,\n');
    expect(rows.map((row) => row.line)).toEqual([5]);
    expect(rejected).toEqual([{ line: 9, column: 'clicks', value: 'x', reason: 'is not a number' }]);
  });

  it('understand the separator line of a spreadsheet', async () => {
    const { rows } = await importText('sep=|\r\ndate|campaign|clicks\r\n2023-08-31|a;b,c|1\r\n');
    expect(rows).toMatchObject([{ line: 3, campaignName: 'a;b,c', clicks: 1 }]);
  });

  it('have keys that tell slices apart, whatever is in the cells and whatever the order of columns', async () => {
    const keysOf = async (text: string): Promise<string[]> => (await importText(text)).rows.map((row) => row.breakdownKey);
    const [one, other, escaped, long, longer] = await keysOf(
      `date,campaign,clicks,age,city\n2023-08-31,a,1,x,"y"",""z"\n2023-08-31,a,1,"x"",""y",z\n2023-08-31,a,1,"\\",é\n` +
        `2023-08-31,a,1,${'u'.repeat(512)},${'é'.repeat(512)}\n2023-08-31,a,1,${'u'.repeat(512)},${'é'.repeat(511)}\n`,
    );
    expect(one).toBe(
      JSON.stringify([
        ['age', 'x'],
        ['city', 'y","z'],
      ]),
    );
    expect(other).not.toBe(one);
    expect(escaped).toBe(
      JSON.stringify([
        ['age', '\\'],
        ['city', 'é'],
      ]),
    );
    expect(long).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(longer).not.toBe(long);
    expect(await keysOf('City,date,campaign,clicks,AGE\nz,2023-08-31,a,1,x\n,2023-08-31,a,1,\n')).toEqual([
      JSON.stringify([
        ['age', 'x'],
        ['city', 'z'],
      ]),
      '',
    ]);
  });

  it('do not change their key when only the label of an id changes', async () => {
    const { rows } = await importText(
      'date,campaign,clicks,ad_id,ad name\n2023-08-31,a,1,7,Blue\n2023-08-31,a,1,7,Red\n2023-08-31,a,1,,Red\n',
    );
    expect(rows.map((row) => row.breakdownKey)).toEqual(['[["ad_id","7"]]', '[["ad_id","7"]]', '[["ad_name","Red"]]']);
    expect(rows.map((row) => row.breakdown['ad_name'])).toEqual(['Blue', 'Red', 'Red']);
  });
});

describe('rejections', () => {
  const header = 'date,campaign id,campaign,currency,impressions,clicks,spend,conversions,daily budget,age\n';
  const good = '2023-08-31,1,a,USD,10,1,1.25,1,5,18\n';

  it.each([
    ['2023-02-30,1,a,USD,10,1,1.25,1,5,18', 'date', '2023-02-30', /no day of the calendar/],
    ['Total,1,a,USD,10,1,1.25,1,5,18', 'date', 'Total', /not a date/],
    ['2023-08-31,,,USD,10,1,1.25,1,5,18', 'campaign id', '', /empty/],
    ['2023-08-31,1.2E+17,a,USD,10,1,1.25,1,5,18', 'campaign id', '1.2E+17', /lost its digits/],
    ['2023-08-31,1,a\0b,USD,10,1,1.25,1,5,18', 'campaign', 'a\\u{0}b', /NUL/],
    ['2023-08-31,1,a\u001bb,USD,10,1,1.25,1,5,18', 'campaign', 'a\\u{1b}b', /control character/],
    ['2023-08-31,1,a\ufffdb,USD,10,1,1.25,1,5,18', 'campaign', 'a\ufffdb', /--encoding/],
    [`2023-08-31,1,${'n'.repeat(257)},USD,10,1,1.25,1,5,18`, 'campaign', `${'n'.repeat(80)}…`, /longer than 256/],
    [`2023-08-31,${'1'.repeat(513)},a,USD,10,1,1.25,1,5,18`, 'campaign id', `${'1'.repeat(80)}…`, /longer than 512/],
    ['2023-08-31,1,a,dollars,10,1,1.25,1,5,18', 'currency', 'dollars', /three letters/],
    ['2023-08-31,1,a,USD,-10,1,1.25,1,5,18', 'impressions', '-10', /negative/],
    ['2023-08-31,1,a,USD,10,1.5,1.25,1,5,18', 'clicks', '1.5', /whole number/],
    ['2023-08-31,1,a,USD,10,1,NaN,1,5,18', 'spend', 'NaN', /not a number/],
    ['2023-08-31,1,a,USD,10,1,€5,1,5,18', 'spend', '€5', /another currency/],
    ['2023-08-31,1,a,USD,10,1,99999999999,1,5,18', 'spend', '99999999999', /too large/],
    ['2023-08-31,1,a,USD,10,1,1.25,50%,5,18', 'conversions', '50%', /percentage/],
    ['2023-08-31,1,a,USD,10,1,1.25,1,-5,18', 'daily budget', '-5', /negative/],
    [`2023-08-31,1,a,USD,10,1,1.25,1,5,${'x'.repeat(513)}`, 'age', `${'x'.repeat(80)}…`, /longer than 512/],
    ['2023-08-31,1,a,USD,10,1,1.25,1,5', null, '2023-08-31 1 a USD 10 1 1.25 1 5', /only 9 cells/],
    ['2023-08-31,1,a,USD,10,1,1.25,1,5,18,', null, '2023-08-31 1 a USD 10 1 1.25 1 5 18 ', /more than 10 cells/],
    ['2023-08-31,1,"a "b" c",USD,10,1,1.25,1,5,18', 'campaign', '2023-08-31,1,"a "b" c",USD,10,1,1.25,1,5,18', /not doubled/],
    ['2023-08-31,1,a,USD,10,1,"\u202e1",1,5,18', 'spend', '\\u{202e}1', /not a number/],
  ])('%.70j', async (line, column, value, reason) => {
    const { rows, rejected } = await importText(`${header}${good}${line}\n${good}`);
    expect(rejected).toEqual([{ line: 3, column, value, reason: expect.stringMatching(reason) }]);
    expect(rows.map((row) => row.line)).toEqual([2, 4]);
  });

  it('come for dates that contradict what the head has settled', async () => {
    const filler = Array.from({ length: 60_000 }, (_, index) => `${13 + (index % 15)}/08/2023,a,${index}\n`).join('');
    const { rows, rejected } = await importText(`date,campaign,clicks\n${filler}08/31/2023,a,1\n2023-08-31,a,1\n`);
    expect(rows).toHaveLength(60_000);
    expect(rejected.map(({ line, column, value }) => [line, column, value])).toEqual([
      [60_002, 'date', '08/31/2023'],
      [60_003, 'date', '2023-08-31'],
    ]);
  });

  it('come one for each number that the head left open and that cannot stand alone', async () => {
    const filler = '2023-08-31,a,5\n'.repeat(100_000);
    const { reading, rows, rejected } = await importText(`date,campaign,spend\n${filler}2023-08-31,a,"1,234"\n2023-08-31,a,"12,34"\n`);
    expect(reading?.decimal).toBeUndefined();
    expect(rejected).toEqual([{ line: 100_002, column: 'spend', value: '1,234', reason: expect.stringContaining('--decimal') }]);
    expect(rows.at(-1)?.spendMicros).toBe(12_340_000);
  });

  it('name a cell of 10 MB and leave its neighbours alone', async () => {
    for (const cell of ['x'.repeat(10_000_000), `"${'x,""\n'.repeat(2_000_000)}"`]) {
      const { rows, rejected } = await importText(`${header}${good}2023-08-31,1,${cell},USD,10,1,1.25,1,5,18\n${good}`);
      expect(rejected).toEqual([
        { line: 3, column: 'campaign', value: expect.stringMatching(/^2023-08-31,1,.*…$/), reason: 'is longer than 262144 characters' },
      ]);
      expect(rows).toHaveLength(2);
    }
  });

  it('are handed out in batches of at most 1,000', async () => {
    const sizes: [number, number][] = [];
    const text = header + `${good}x\n`.repeat(10_500);
    for await (const item of readImportFile(chunksOf(text)))
      if (item.kind === 'batch') sizes.push([item.rows.length, item.rejected.length]);
    expect(Math.max(...sizes.flat())).toBeLessThanOrEqual(importLimits.batchRowsMax);
    expect(sizes.reduce(([rows, rejected], size) => [rows + size[0], rejected + size[1]], [0, 0])).toEqual([10_500, 10_500]);
  });
});

describe('files that cannot be read', () => {
  it.each<[string, string, ImportOptionTexts, string, object]>([
    ['nothing', '', {}, 'IMPORT_UNREADABLE', {}],
    ['blanks', ' \n \n', {}, 'IMPORT_UNREADABLE', {}],
    ['one column', 'date\n2023-08-31\n', {}, 'IMPORT_UNREADABLE', { option: '--delimiter' }],
    ['two delimiters', 'date,campaign;clicks\n', {}, 'IMPORT_UNREADABLE', { option: '--delimiter', candidates: [',', ';'] }],
    ['a broken header', 'date,"campaign"x,clicks\n2023-08-31,a,1\n', {}, 'IMPORT_UNREADABLE', {}],
    ['a header over the limit', `date,campaign,clicks,${'x'.repeat(300_000)}\n`, { delimiter: ',' }, 'IMPORT_UNREADABLE', {}],
    [
      'no date column',
      'campaign,clicks\na,1\n',
      {},
      'IMPORT_UNREADABLE',
      { option: '--map', field: 'date', columns: ['campaign', 'clicks'] },
    ],
    [
      'days or months first',
      'date,campaign,clicks\n01/02/2023,a,1\n',
      {},
      'IMPORT_UNREADABLE',
      { option: '--date-format', candidates: ['DD-MM-YYYY', 'MM-DD-YYYY'] },
    ],
    ['no dates', 'date,campaign,clicks\nsoon,a,1\n', {}, 'IMPORT_UNREADABLE', { option: '--date-format', examples: ['soon'] }],
    [
      'comma or point',
      'date,campaign,spend\n2023-08-31,a,"1,234"\n',
      {},
      'IMPORT_UNREADABLE',
      { option: '--decimal', candidates: ['.', ','] },
    ],
    [
      'a column that is not there',
      'date,campaign,clicks\n',
      { map: 'spend=Kosten' },
      'BAD_USER_INPUT',
      { option: '--map', column: 'Kosten' },
    ],
    [
      'another currency',
      'date,campaign,cost (EUR)\n',
      { currency: 'USD' },
      'BAD_USER_INPUT',
      { option: '--currency', candidates: ['EUR'] },
    ],
  ])('%s', async (_name, text, options, code, details) => {
    await expect(importText(text, options)).rejects.toThrow(failure(code, details));
  });

  it('of more than a head in which no row fits the header', async () => {
    await expect(importText(`date,campaign,clicks\n${'a,b\n'.repeat(400_000)}`)).rejects.toThrow(
      failure('IMPORT_UNREADABLE', { columns: ['date', 'campaign', 'clicks'] }),
    );
  });

  it('of which the head is one cell of 10 MB, unless the date format is given', async () => {
    const text = `date,campaign,clicks\n2023-08-31,${'x'.repeat(10_000_000)},1\n2023-08-31,a,1\n`;
    await expect(importText(text)).rejects.toThrow(
      failure('IMPORT_UNREADABLE', { option: '--date-format', line: 2, reason: 'is longer than 262144 characters' }),
    );
    const { rows, rejected } = await importText(text, { dateFormat: 'YYYY-MM-DD' });
    expect([rows.length, rejected.length]).toEqual([1, 1]);
  });

  it('are read when the option decides', async () => {
    const { rows } = await importText('date,campaign,spend\n01/02/2023,a,"1,234"\n', { dateFormat: 'MM/DD/YYYY', decimal: 'point' });
    expect(rows).toMatchObject([{ date: '2023-01-02', spendMicros: 1_234_000_000 }]);
  });

  it('pass on what the source throws', async () => {
    const source = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('date,campaign,clicks\n2023-08-31,a,1\n');
      await Promise.resolve();
      throw new Error('the connection is gone');
    };
    await expect(importOf(source())).rejects.toThrow('the connection is gone');
  });

  it('close the source when the reader has had enough', async () => {
    let closed = false;
    const source = async function* (): AsyncGenerator<Buffer> {
      try {
        yield Buffer.from('date,campaign,clicks\n');
        for (;;) yield await Promise.resolve(Buffer.from('2023-08-31,a,1\n'.repeat(4_000)));
      } finally {
        closed = true;
      }
    };
    for await (const item of readImportFile(source())) if (item.kind === 'batch') break;
    expect(closed).toBe(true);
  });
});

const sample = join(process.env['PCA_SAMPLE_DATA'] ?? '', 'ads', 'KAG_conversion_data.csv');
it.skipIf(!process.env['PCA_SAMPLE_DATA'] || !existsSync(sample))('reads a real export whole', async () => {
  const options = parseImportOptions({
    platform: 'Facebook',
    currency: 'USD',
    map: 'campaignId=xyz_campaign_id,conversions=Approved_Conversion',
  });
  const { rows, rejected, reading } = await importOf(createReadStream(sample), options);
  const sum = (pick: (row: ImportRow) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  expect(reading).toMatchObject({
    dateFormat: 'DD-MM-YYYY',
    decimal: '.',
    breakdown: ['ad_id', 'age', 'fb_campaign_id', 'gender', 'interest'],
  });
  expect(rejected).toEqual([]);
  expect(rows).toHaveLength(1_143);
  expect(new Set(rows.map((row) => row.campaignId)).size).toBe(3);
  expect(new Set(rows.map((row) => `${row.campaignId} ${row.date} ${row.breakdownKey}`)).size).toBe(1_143);
  expect(sum((row) => row.impressions)).toBe(213_434_828);
  expect(sum((row) => row.clicks)).toBe(38_165);
  expect(Math.round(sum((row) => row.spendMicros) / 10_000) / 100).toBe(58_705.23);
  expect(sum((row) => row.conversionsMicros)).toBe(1_079_000_000);
});

it('never fails with anything but an error of the domain, whatever the bytes', async () => {
  const random = seededRandom('junk');
  for (let n = 0; n < 1_500; n++) {
    const words = [
      'date',
      'campaign',
      'clicks',
      'spend',
      ',',
      ',',
      ';',
      '\n',
      '\r\n',
      '"',
      '""',
      '2023-08-31',
      '01/02/2023',
      '1,5',
      '1.5',
      '5',
      '\0',
      '\ufeff',
      'é',
      '=',
      ' ',
    ];
    const head = random.int(2) === 0 ? 'date,campaign,clicks,spend\n' : '';
    const text = head + Array.from({ length: random.int(60) }, () => random.pick(words)).join('');
    const bytes = Buffer.from(text, random.pick(['utf8', 'utf16le', 'latin1'] as const));
    if (random.int(4) === 0 && bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256);
    try {
      await importOf(chunksOf(bytes));
    } catch (error) {
      expect(isDomainError(error), `seed ${random.seed}, ${bytes.toString('hex')}: ${String(error)}`).toBe(true);
    }
  }
});
