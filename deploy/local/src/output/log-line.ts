export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export interface LogLine {
  /** Time of day, UTC, to the millisecond; empty when the line brings none. */
  readonly time: string;
  readonly level: Level;
  readonly text: string;
}

const levels: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
/** Said by the prefix, by the line itself, or of use to machines only. */
const hiddenFields = new Set(['name', 'level', 'time', 'msg', 'pid', 'hostname', 'v', 'traceId', 'spanId', 'requestId', 'context']);
const textLengthMax = 1_000;

/** A program's output must not be able to move the cursor or to fake a line of another. */
export const printable = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

const levelOf = (value: unknown): Level => {
  if (typeof value === 'number') return levels[Math.min(5, Math.max(0, Math.floor(value / 10) - 1))] ?? 'info';
  return levels.find((level) => level === value) ?? 'info';
};

const shown = (value: unknown): string => {
  if (typeof value === 'string') return /^[\w.:/@%+-]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'object' && value !== null && 'message' in value) return JSON.stringify(value.message);
  return JSON.stringify(value) ?? '';
};

const parsed = (line: string): Record<string, unknown> | undefined => {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
};

const cut = (text: string): string => (text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text);

/** A line of a service as a person wants it: pino's JSON as message and fields, anything else as it is. */
export const readLogLine = (line: string): LogLine => {
  const record = parsed(line);
  if (!record) return { time: '', level: 'info', text: cut(printable(line)) };
  const fields = Object.entries(record)
    .filter(([name]) => !hiddenFields.has(name))
    .map(([name, value]) => `${name}=${shown(value)}`);
  const time = new Date(record['time'] as string | number);
  return {
    time: Number.isNaN(time.getTime()) ? '' : time.toISOString().slice(11, 23),
    level: levelOf(record['level']),
    text: cut(printable([record['msg'] ?? '', ...fields].join(' '))),
  };
};
