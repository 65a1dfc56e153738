import { type Level, printable, readLogLine } from './log-line.js';

export interface Screen {
  /** A line of the supervisor itself. */
  say(message: string, level?: Level): void;
  /** A line that a program wrote. */
  program(name: string, line: string): void;
  /** Several lines as they are; in JSON mode the summary instead. */
  block(lines: readonly string[], summary: Record<string, unknown>): void;
}

interface ScreenOptions {
  readonly colour: boolean;
  readonly json: boolean;
  readonly nameWidth: number;
}

const palette = [36, 33, 35, 32, 34, 96, 93, 95, 92, 94];
const levelColours: Readonly<Record<Level, number>> = { trace: 90, debug: 90, info: 39, warn: 33, error: 31, fatal: 31 };
const waitingBytesMax = 2 ** 20;

/** Standard output that drops lines, and says how many, rather than to stop the supervisor when nobody reads. */
const boundedWriter = (out: NodeJS.WriteStream): ((line: string) => void) => {
  let dropped = 0;
  // The reader may go away; the system runs on, its log is in files as well.
  out.on('error', () => undefined);
  return (line) => {
    if (out.writableLength > waitingBytesMax) {
      dropped += 1;
      return;
    }
    if (dropped > 0) out.write(`… ${dropped} lines were not shown because nobody read them; they are in the log files\n`);
    dropped = 0;
    out.write(`${line}\n`);
  };
};

export const openScreen = ({ colour, json, nameWidth }: ScreenOptions, out: NodeJS.WriteStream = process.stdout): Screen => {
  const write = boundedWriter(out);
  const colours = new Map<string, number>();
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const nameColour = (name: string): number => {
    const code = colours.get(name) ?? palette[colours.size % palette.length] ?? 39;
    colours.set(name, code);
    return code;
  };
  const line = (name: string, code: number, time: string, level: Level, text: string): void => {
    const prefix = `${paint(90, time || new Date().toISOString().slice(11, 23))} ${paint(code, name.padEnd(nameWidth))}`;
    write(`${prefix} ${paint(levelColours[level], level.toUpperCase().padEnd(5))} ${paint(levelColours[level], text)}`);
  };
  const record = (level: Level, fields: Record<string, unknown>): void =>
    write(JSON.stringify({ level, time: new Date().toISOString(), name: 'pca', ...fields }));
  return {
    say: (message, level = 'info') => (json ? record(level, { msg: message }) : line('pca', 1, '', level, printable(message))),
    program: (name, text) => {
      if (json)
        return write(text.startsWith('{') ? text : JSON.stringify({ level: 'info', time: new Date().toISOString(), name, msg: text }));
      const { time, level, text: message } = readLogLine(text);
      line(name, nameColour(name), time, level, message);
    },
    block: (lines, summary) => (json ? record('info', summary) : lines.forEach(write)),
  };
};
