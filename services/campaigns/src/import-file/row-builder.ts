import { breakdownKey } from '../performance/breakdown.js';
import type { BreakdownColumn, ColumnPlan } from './column-plan.js';
import { type DateFormat, type DateReading, dateReader } from './dialect/date-format.js';
import { type DecimalMark, isAbsentNumber, readCount, readMicros } from './dialect/number-format.js';
import { cellAt, excerptOf, readText, remembering, type TextReading } from './dialect/text.js';
import { type ImportField, importLimits, type ImportRow, type RejectedRow } from './import-item.js';

export interface RowContext {
  readonly plan: ColumnPlan;
  readonly decimal: DecimalMark | undefined;
  /** Absent when the head has no row with a date. */
  readonly dateFormat: DateFormat | undefined;
  /** For rows without one of their own. */
  readonly platform: string | undefined;
  readonly currency: string | undefined;
}

/** undefined: the row is blank and says nothing. */
export type BuiltRow = { readonly row: ImportRow } | { readonly rejected: RejectedRow } | undefined;

type TextField = Exclude<ImportField, 'date' | 'dailyBudget' | 'impressions' | 'clicks' | 'spend' | 'conversions' | 'conversionValue'>;

interface RowFault {
  readonly index: number | undefined;
  readonly reason: string;
}

const currencyCode = /^[A-Z]{3}$/;
// What a spreadsheet makes of a long number: different ids become one.
const lostDigits = /^\d([.,]\d+)?E\+\d+$/;

/** Reads the cells of one record after the other as rows of performance. */
export class RowBuilder {
  /** The first fault of the row that is being read; what is read after it does not matter. */
  private fault: RowFault | undefined;
  private readonly readDate: (cell: string) => DateReading;
  private readonly readName = remembering((cell) => readText(cell, importLimits.nameCharsMax));
  private readonly readWords = remembering((cell) => readText(cell, importLimits.textCharsMax));

  private readonly hasLabels: boolean;

  constructor(private readonly context: RowContext) {
    this.hasLabels = context.plan.breakdown.some(({ labels }) => labels !== undefined);
    this.readDate = context.dateFormat ? dateReader(context.dateFormat) : () => ({ reason: 'is not a date in a known format' });
  }

  /** @param line 1-based physical line of the record. */
  build(line: number, cells: readonly string[]): BuiltRow {
    const { header } = this.context.plan;
    if (cells.length !== header.length) {
      if (cells.every(isBlank)) return undefined;
      const found = cells.length > header.length ? `more than ${header.length}` : `only ${cells.length}`;
      return {
        rejected: {
          line,
          column: null,
          value: excerptOf(cells.join(' ')),
          reason: `has ${found} cells, but the header has ${header.length}`,
        },
      };
    }
    this.fault = undefined;
    const row = this.read(line, cells);
    if (this.fault === undefined) return { row };
    if (cells.every(isBlank)) return undefined;
    const { index, reason }: RowFault = this.fault;
    const column = index === undefined ? null : (header[index] ?? null);
    return { rejected: { line, column, value: excerptOf(index === undefined ? '' : cellAt(cells, index)), reason } };
  }

  private read(line: number, cells: readonly string[]): ImportRow {
    const date = this.date(cells);
    const campaignId = this.campaignId(cells);
    const campaignName = this.text(cells, 'campaign');
    if (campaignId === undefined && campaignName === undefined)
      this.note(this.context.plan.fields.campaignId ?? this.context.plan.fields.campaign, 'is empty');
    const currency = this.currency(cells);
    const { breakdownKey, breakdown } = this.slice(cells);
    return {
      line,
      date,
      campaignId,
      campaignName,
      platform: this.text(cells, 'platform') ?? this.context.platform,
      currency,
      account: this.text(cells, 'account'),
      objective: this.text(cells, 'objective'),
      vertical: this.text(cells, 'vertical'),
      status: this.text(cells, 'status'),
      dailyBudgetMicros: this.budget(cells, currency),
      breakdownKey,
      breakdown,
      impressions: this.count(cells, 'impressions'),
      clicks: this.count(cells, 'clicks'),
      spendMicros: this.micros(cells, 'spend', currency),
      conversionsMicros: this.micros(cells, 'conversions', null),
      conversionValueMicros: this.micros(cells, 'conversionValue', currency),
    };
  }

  private note(index: number | undefined, reason: string): void {
    this.fault ??= { index, reason };
  }

  private date(cells: readonly string[]): string {
    const index = this.context.plan.fields.date;
    const reading = this.readDate(cellAt(cells, index));
    if ('date' in reading) return reading.date;
    this.note(index, reading.reason);
    return '';
  }

  private campaignId(cells: readonly string[]): string | undefined {
    const id = this.text(cells, 'campaignId');
    if (id !== undefined && lostDigits.test(id))
      this.note(this.context.plan.fields.campaignId, 'is in scientific notation: a spreadsheet has lost its digits');
    return id;
  }

  private text(cells: readonly string[], field: TextField): string | undefined {
    const index = this.context.plan.fields[field];
    if (index === undefined || cells[index] === '') return undefined;
    return this.words((field === 'campaign' ? this.readName : this.readWords)(cellAt(cells, index)), index) || undefined;
  }

  private words(reading: TextReading, index: number): string {
    if ('text' in reading) return reading.text;
    this.note(index, reading.reason);
    return '';
  }

  private currency(cells: readonly string[]): string | undefined {
    const currency = this.text(cells, 'currency')?.toUpperCase();
    if (currency === undefined) return this.context.currency;
    if (!currencyCode.test(currency)) this.note(this.context.plan.fields.currency, 'is not a currency code of three letters');
    return currency;
  }

  private budget(cells: readonly string[], currency: string | undefined): number | undefined {
    const index = this.context.plan.fields.dailyBudget;
    return index === undefined || isAbsentNumber(cellAt(cells, index)) ? undefined : this.micros(cells, 'dailyBudget', currency);
  }

  private count(cells: readonly string[], field: ImportField): number {
    const index = this.context.plan.fields[field];
    return index === undefined ? 0 : this.number(index, readCount(cellAt(cells, index), this.context.decimal));
  }

  private micros(cells: readonly string[], field: ImportField, currency: string | null | undefined): number {
    const index = this.context.plan.fields[field];
    return index === undefined ? 0 : this.number(index, readMicros(cellAt(cells, index), this.context.decimal, currency));
  }

  private number(index: number, reading: number | string): number {
    if (typeof reading === 'number') return reading;
    this.note(index, reading);
    return 0;
  }

  private slice(cells: readonly string[]): { breakdownKey: string; breakdown: Record<string, string> } {
    const breakdown: Record<string, string> = {};
    const columns = this.context.plan.breakdown;
    for (const { index, dimension } of columns) {
      const text = this.words(readText(cellAt(cells, index), importLimits.textCharsMax), index);
      if (text !== '') breakdown[dimension] = text;
    }
    return { breakdownKey: breakdownKey(this.hasLabels ? withoutLabels(columns, breakdown) : breakdown), breakdown };
  }
}

const isBlank = (cell: string): boolean => cell.trim() === '';

/** What the slice is known by: labels beside their id are left out, so that a renamed ad stays the same slice. */
const withoutLabels = (columns: readonly BreakdownColumn[], breakdown: Readonly<Record<string, string>>): Record<string, string> => {
  const slice: Record<string, string> = {};
  for (const { dimension, labels } of columns) {
    const value = breakdown[dimension];
    if (value !== undefined && (labels === undefined || breakdown[labels] === undefined)) slice[dimension] = value;
  }
  return slice;
};
