import { EmbeddedPostgresError } from '@pca/embedded-postgres';

/** A failure that the person at the keyboard can mend: the message is one line that says what is wrong and what to do. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}

const folderFaults: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'read-only file system',
  ENOENT: 'it cannot be made',
  ENOTDIR: 'part of the path is a file',
  EEXIST: 'it is a file',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
};

/** A file system error of the data folder as something to act on; anything else stays what it is. */
export const folderError = (folder: string, error: unknown): unknown => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = folderFaults[code] ?? (code === 'ERR_SQLITE_ERROR' ? 'its lock file cannot be written' : undefined);
  if (reason === undefined) return error;
  return new OperatorError(`Cannot write to the data folder ${folder} (${reason}): set PCA_DATA_DIR to a folder that can be written`, {
    cause: error,
  });
};

/** What of an error goes to the terminal: one line when a person can mend it, everything when it is a fault of ours. */
export const describeError = (error: unknown): string => {
  if (error instanceof OperatorError || error instanceof EmbeddedPostgresError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
};
