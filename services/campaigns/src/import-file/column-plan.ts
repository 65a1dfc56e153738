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

/** Field → position in a row. */
export type FieldIndexes = Readonly<Partial<Record<ImportField, number>> & { date: number }>;

/** Where everything stands in a row. */
export interface ColumnPlan {
  readonly header: readonly string[];
  readonly fields: FieldIndexes;
  /** Sorted by dimension. */
  readonly breakdown: readonly BreakdownColumn[];
  readonly ignored: readonly string[];
  /** The currency that the header of an amount names, such as "Cost (EUR)". */
  readonly currencyOfHeader: string | undefined;
}

const metrics: readonly [ImportField, ...ImportField[]] = ['impressions', 'clicks', 'spend', 'conversions', 'conversionValue'];
const amounts: readonly ImportField[] = ['spend', 'conversionValue', 'dailyBudget'];
const unitBehindName = /^(.*?)\s*[([]([A-Z]{3}|\p{Sc})[)\]]$/u;

const nameWithoutUnit = (column: string): string => squash(unitBehindName.exec(column.trim())?.[1] ?? column);

interface Column {
  readonly index: number;
  readonly name: string;
}

/** How many cells of a would-be header name a field, a dimension or a column of the options. */
export const countKnownColumns = (header: readonly string[], format: ImportFormat, options: ImportOptions): number => {
  const asked = new Set([...Object.values(options.map ?? {}), ...(options.breakdown ?? [])].map(squash));
  const fields = new Set(Object.values(format.fields).flat(2));
  return header.filter(
    (column) => asked.has(squash(column)) || fields.has(nameWithoutUnit(column)) || format.dimensions.has(squash(column)),
  ).length;
};

/**
 * @throws DomainError BAD_USER_INPUT when an option names a column that is not there; IMPORT_UNREADABLE when a column that an import cannot
 * do without
 * is missing, or two could be meant; the details name the option that resolves it.
 */
export const planColumns = (cells: readonly string[], format: ImportFormat, options: ImportOptions): ColumnPlan => {
  const columns = cells.map(readHeaderCell);
  if (columns.length > importLimits.columnsMax)
    throw new DomainError('IMPORT_UNREADABLE', `The file has more than ${importLimits.columnsMax} columns`);
  const header = columns.map(({ name }) => name);
  const fields = findFields(columns, format, options.map ?? {});
  const taken = new Set(Object.values(fields));
  const breakdown = findBreakdown(columns, format, options.breakdown ?? [], taken);
  for (const { index } of breakdown) taken.add(index);
  return {
    header,
    fields: requireFields(fields, header),
    breakdown,
    ignored: header.filter((_, index) => !taken.has(index)),
    currencyOfHeader: findCurrency(header, fields),
  };
};

const readHeaderCell = (cell: string, index: number): Column => {
  const name = readText(cell, importLimits.textCharsMax);
  if ('reason' in name)
    throw new DomainError('IMPORT_UNREADABLE', `The name of column ${index + 1} ${name.reason}`, {
      column: index + 1,
      value: excerptOf(cell),
    });
  return { index, name: name.text === '' ? `column ${index + 1}` : name.text };
};

type FoundFields = Partial<Record<ImportField, number>>;

const findFields = (columns: readonly Column[], format: ImportFormat, map: ColumnMap): FoundFields => {
  const fields: FoundFields = {};
  for (const field of importFields) {
    const column = map[field];
    if (column !== undefined) fields[field] = columnNamed(columns, column, '--map').index;
  }
  const mapped = new Set(Object.values(fields));
  const free = columns.filter(({ index }) => !mapped.has(index)).map((column) => ({ ...column, squashed: nameWithoutUnit(column.name) }));
  for (const field of importFields) {
    if (fields[field] !== undefined) continue;
    for (const group of format.fields[field]) {
      const [found, ...others] = free.filter(({ squashed }) => group.includes(squashed));
      if (!found) continue;
      if (others.length > 0) throw ambiguous(field, [found, ...others]);
      fields[field] = found.index;
      break;
    }
  }
  return fields;
};

const ambiguous = (field: ImportField, columns: readonly Column[]): DomainError =>
  new DomainError('IMPORT_UNREADABLE', `More than one column could be ${field}; choose with --map ${field}=COLUMN`, {
    option: '--map',
    field,
    candidates: columns.map(({ name }) => name),
  });

const columnNamed = (columns: readonly Column[], asked: string, option: string): Column => {
  const wanted = asked.trim().normalize('NFC');
  const shown = JSON.stringify(excerptOf(wanted));
  const exact = columns.filter(({ name }) => name === wanted);
  const [found, ...others] = exact.length > 0 ? exact : columns.filter(({ name }) => squash(name) === squash(wanted));
  if (!found)
    throw new DomainError('BAD_USER_INPUT', `The file has no column ${shown}`, {
      option,
      column: excerptOf(wanted),
      columns: columns.map(({ name }) => name),
    });
  if (others.length > 0)
    throw new DomainError('IMPORT_UNREADABLE', `The file has more than one column ${shown}; give them different names`, {
      option,
      candidates: [found, ...others].map(({ name }) => name),
    });
  return found;
};

const requireFields = (fields: FoundFields, columns: readonly string[]): FieldIndexes => {
  const missing = (what: string, candidates: readonly [ImportField, ...ImportField[]]): DomainError =>
    new DomainError('IMPORT_UNREADABLE', `The file has no column for ${what}; name one with --map ${candidates[0]}=COLUMN`, {
      option: '--map',
      field: candidates[0],
      candidates,
      columns,
    });
  const { date } = fields;
  if (date === undefined) throw missing('the date', ['date']);
  if (fields.campaignId === undefined && fields.campaign === undefined) throw missing('the campaign', ['campaignId', 'campaign']);
  if (metrics.every((metric) => fields[metric] === undefined)) throw missing('any metric', metrics);
  return { ...fields, date };
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
  columns: readonly Column[],
  format: ImportFormat,
  asked: readonly string[],
  taken: ReadonlySet<number>,
): BreakdownColumn[] => {
  const found = new Map<string, Column>();
  for (const name of asked) {
    const column = columnNamed(columns, name, '--breakdown');
    addDimension(found, format.dimensions.get(squash(column.name)) ?? snake(column.name), column);
  }
  const chosen = new Set(found.keys());
  for (const column of columns) {
    const dimension = taken.has(column.index) ? undefined : format.dimensions.get(squash(column.name));
    if (dimension !== undefined && !chosen.has(dimension)) addDimension(found, dimension, column);
  }
  const labelled = (dimension: string): string | undefined => {
    const id = format.labels.get(dimension);
    return id !== undefined && found.has(id) ? id : undefined;
  };
  return [...found]
    .map(([dimension, { index }]) => ({ dimension, index, labels: labelled(dimension) }))
    .sort((a, b) => (a.dimension < b.dimension ? -1 : 1));
};

const addDimension = (found: Map<string, Column>, dimension: string, column: Column): void => {
  const other = found.get(dimension);
  if (other !== undefined && other.index !== column.index)
    throw new DomainError('IMPORT_UNREADABLE', `Two columns are the dimension ${dimension}; choose one with --breakdown COLUMN`, {
      option: '--breakdown',
      candidates: [other.name, column.name],
    });
  found.set(dimension, column);
};

const findCurrency = (header: readonly string[], fields: FoundFields): string | undefined => {
  const [currency, ...others] = new Set(
    amounts.flatMap((field) => {
      const index = fields[field];
      const unit = index === undefined ? undefined : unitBehindName.exec(header[index] ?? '')?.[2];
      return unit !== undefined && /^[A-Z]{3}$/.test(unit) ? [unit] : [];
    }),
  );
  if (others.length > 0)
    throw new DomainError('IMPORT_UNREADABLE', 'The columns of this file are in different currencies', {
      currencies: [currency, ...others],
    });
  return currency;
};
