import { DomainError } from '@pca/errors';
import { excerptOf, readText } from './dialect/text.js';
import { type ImportFormat, squash } from './import-format.js';
import { type ImportField, importFields, importLimits } from './import-item.js';
import type { ColumnMap, ImportOptions } from './import-options.js';

/** A column that slices a day. `labels` is the dimension whose id, where a row has it, makes this one a mere label. */
export interface BreakdownColumn {
  readonly dimension: string;
  readonly index: number;
  readonly labels: string | undefined;
}

/** Where everything stands in a row. */
export interface ColumnPlan {
  readonly header: readonly string[];
  readonly fields: Readonly<Partial<Record<ImportField, number>>>;
  /** Sorted by dimension. */
  readonly breakdown: readonly BreakdownColumn[];
  readonly ignored: readonly string[];
  /** The currency that the header of an amount names, such as "Cost (EUR)". */
  readonly currencyOfHeader: string | undefined;
}

const metrics: readonly ImportField[] = ['impressions', 'clicks', 'spend', 'conversions', 'conversionValue'];
const amounts: readonly ImportField[] = ['spend', 'conversionValue', 'dailyBudget'];
const unitBehindName = /^(.*?)\s*[([]([A-Z]{3}|\p{Sc})[)\]]$/u;

const nameWithoutUnit = (column: string): string => squash(unitBehindName.exec(column.trim())?.[1] ?? column);

/** How many cells of a would-be header name a field, a dimension or a column of the options. */
export const countKnownColumns = (header: readonly string[], format: ImportFormat, options: ImportOptions): number => {
  const asked = new Set([...Object.values(options.map ?? {}), ...(options.breakdown ?? [])].map(squash));
  const fields = new Set(Object.values(format.fields).flat(2));
  return header.filter(
    (column) => asked.has(squash(column)) || fields.has(nameWithoutUnit(column)) || format.dimensions.has(squash(column)),
  ).length;
};

/**
 * @throws DomainError BAD_USER_INPUT when an option names a column that is not there; IMPORT_UNREADABLE when a column that an import cannot do without
 * is missing, or two could be meant; the details name the option that resolves it.
 */
export const planColumns = (cells: readonly string[], format: ImportFormat, options: ImportOptions): ColumnPlan => {
  const header = cells.map(readHeaderCell);
  if (header.length > importLimits.columnsMax)
    throw new DomainError('IMPORT_UNREADABLE', `The file has more than ${importLimits.columnsMax} columns`, { columns: header.length });
  const fields = findFields(header, format, options.map ?? {});
  requireFields(fields, header);
  const taken = new Set(Object.values(fields));
  const breakdown = findBreakdown(header, format, options.breakdown ?? [], taken);
  for (const { index } of breakdown) taken.add(index);
  return {
    header,
    fields,
    breakdown,
    ignored: header.filter((_, index) => !taken.has(index)),
    currencyOfHeader: findCurrency(header, fields),
  };
};

const readHeaderCell = (cell: string, index: number): string => {
  const name = readText(cell, importLimits.textCharsMax);
  if ('reason' in name)
    throw new DomainError('IMPORT_UNREADABLE', `The name of column ${index + 1} ${name.reason}`, {
      column: index + 1,
      value: excerptOf(cell),
    });
  return name.text === '' ? `column ${index + 1}` : name.text;
};

const findFields = (header: readonly string[], format: ImportFormat, map: ColumnMap): Partial<Record<ImportField, number>> => {
  const fields: Partial<Record<ImportField, number>> = {};
  const mapped = new Set<number>();
  for (const field of importFields) {
    const column = map[field];
    if (column === undefined) continue;
    fields[field] = indexOfNamed(header, column, '--map');
    mapped.add(fields[field]);
  }
  const names = header.map(nameWithoutUnit);
  for (const field of importFields) {
    if (fields[field] !== undefined) continue;
    for (const group of format.fields[field]) {
      const found = [...names.keys()].filter((index) => !mapped.has(index) && group.includes(names[index]!));
      if (found.length > 1)
        throw ambiguous(
          field,
          found.map((index) => header[index]!),
        );
      if (found.length === 0) continue;
      fields[field] = found[0]!;
      break;
    }
  }
  return fields;
};

const ambiguous = (field: ImportField, candidates: readonly string[]): DomainError =>
  new DomainError('IMPORT_UNREADABLE', `More than one column could be ${field}; choose with --map ${field}=COLUMN`, {
    option: '--map',
    field,
    candidates,
  });

const indexOfNamed = (header: readonly string[], column: string, option: string): number => {
  const wanted = column.trim().normalize('NFC');
  const exact = [...header.keys()].filter((index) => header[index] === wanted);
  const close = exact.length > 0 ? exact : [...header.keys()].filter((index) => squash(header[index]!) === squash(wanted));
  if (close.length === 0)
    throw new DomainError('BAD_USER_INPUT', `The file has no column ${JSON.stringify(excerptOf(wanted))}`, {
      option,
      column: excerptOf(wanted),
      columns: header,
    });
  if (close.length > 1)
    throw new DomainError(
      'IMPORT_UNREADABLE',
      `The file has more than one column ${JSON.stringify(excerptOf(wanted))}; give them different names`,
      {
        option,
        candidates: close.map((index) => header[index]),
      },
    );
  return close[0]!;
};

const requireFields = (fields: Partial<Record<ImportField, number>>, columns: readonly string[]): void => {
  const missing = (field: string, candidates: readonly ImportField[]): DomainError =>
    new DomainError('IMPORT_UNREADABLE', `The file has no column for ${field}; name one with --map ${candidates[0]}=COLUMN`, {
      option: '--map',
      field: candidates[0],
      candidates,
      columns,
    });
  if (fields.date === undefined) throw missing('the date', ['date']);
  if (fields.campaignId === undefined && fields.campaign === undefined) throw missing('the campaign', ['campaignId', 'campaign']);
  if (metrics.every((metric) => fields[metric] === undefined)) throw missing('any metric', metrics);
};

/** lower_snake_case, so that a column keeps its dimension when another export writes it "Hour Slot" instead of hourSlot. */
const snake = (column: string): string =>
  column
    .normalize('NFKC')
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1_$2')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .replace(/^_|_$/g, '') || 'column';

const findBreakdown = (
  header: readonly string[],
  format: ImportFormat,
  asked: readonly string[],
  taken: ReadonlySet<number>,
): BreakdownColumn[] => {
  const found = new Map<string, number>();
  const dimensionOf = (index: number): string | undefined => format.dimensions.get(squash(header[index]!));
  for (const column of asked) {
    const index = indexOfNamed(header, column, '--breakdown');
    addDimension(found, dimensionOf(index) ?? snake(header[index]!), index, header);
  }
  const chosen = new Set(found.keys());
  for (const index of header.keys()) {
    const dimension = taken.has(index) ? undefined : dimensionOf(index);
    if (dimension !== undefined && !chosen.has(dimension)) addDimension(found, dimension, index, header);
  }
  return [...found]
    .map(([dimension, index]) => ({
      dimension,
      index,
      labels: found.has(format.labels.get(dimension) ?? '') ? format.labels.get(dimension) : undefined,
    }))
    .sort((a, b) => (a.dimension < b.dimension ? -1 : 1));
};

const addDimension = (found: Map<string, number>, dimension: string, index: number, header: readonly string[]): void => {
  const other = found.get(dimension);
  if (other !== undefined && other !== index)
    throw new DomainError('IMPORT_UNREADABLE', `Two columns are the dimension ${dimension}; choose one with --breakdown COLUMN`, {
      option: '--breakdown',
      candidates: [header[other], header[index]],
    });
  found.set(dimension, index);
};

const findCurrency = (header: readonly string[], fields: Partial<Record<ImportField, number>>): string | undefined => {
  const units = amounts.flatMap((field) => {
    const index = fields[field];
    const unit = index === undefined ? undefined : unitBehindName.exec(header[index]!)?.[2];
    return unit !== undefined && /^[A-Z]{3}$/.test(unit) ? [unit] : [];
  });
  const currencies = [...new Set(units)];
  if (currencies.length > 1)
    throw new DomainError('IMPORT_UNREADABLE', 'The columns of this file are in different currencies', { currencies });
  return currencies[0];
};
