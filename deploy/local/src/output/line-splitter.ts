import { StringDecoder } from 'node:string_decoder';

/**
 * Cuts a stream of chunks into lines of at most `lengthMax` characters; a longer line comes in pieces, so that no program can fill the
 * memory.
 */
export const lineSplitter = (onLine: (line: string) => void, lengthMax = 65_536): { write(chunk: Buffer): void; end(): void } => {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const emit = (line: string): void => {
    for (let at = 0; at === 0 || at < line.length; at += lengthMax) onLine(line.slice(at, at + lengthMax));
  };
  return {
    write: (chunk) => {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) emit(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (rest.length > lengthMax) {
        emit(rest);
        rest = '';
      }
    },
    end: () => {
      rest += decoder.end();
      if (rest !== '') emit(rest);
      rest = '';
    },
  };
};
