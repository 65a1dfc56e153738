import { parseArgs, type ParseArgsConfig } from 'node:util';
import { OperatorError } from '../operator-error.js';

/** parseArgs with its faults as one line, followed by how the command is used. */
export const parseOptions = <O extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: O,
  usage: string,
): ReturnType<typeof parseArgs<{ args: string[]; options: O }>>['values'] => {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values;
  } catch (error) {
    const message = error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error);
    throw new OperatorError(`${message}. Usage: ${usage}`, { cause: error });
  }
};

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const secondsMax = 366 * 86_400;

/** "90s", "30m", "1h", "7d" or plain seconds, at most a year. */
export const durationSeconds = (text: string): number => {
  const [, count, unit = 's'] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  const seconds = Number(count) * (unitSeconds[unit] ?? Number.NaN);
  if (seconds >= 1 && seconds <= secondsMax) return seconds;
  throw new OperatorError(`"${text}" is not a duration: write 90s, 30m, 1h or 7d, at most 366d`);
};
