import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { folderError, OperatorError } from '../operator-error.js';
import { checkSpace } from './data-folder.js';
import { readRunFile, readRunning } from './run-file.js';

it('wants room on the disk', () => {
  expect(() => checkSpace('/data', 256 * 2 ** 20)).not.toThrow();
  expect(() => checkSpace('/data', 30 * 2 ** 20)).toThrow(/^Only 30 MB are free on the disk of \/data, 256 MB are needed: /);
});

it('makes one line of what a file system refuses, and leaves other errors alone', () => {
  const refused = (code: string): unknown => folderError('/data', Object.assign(new Error('long story'), { code }));
  for (const code of ['EACCES', 'EROFS', 'ENOTDIR', 'ENOSPC', 'ERR_SQLITE_ERROR'])
    expect(refused(code), code).toBeInstanceOf(OperatorError);
  expect(refused('EROFS')).toHaveProperty(
    'message',
    expect.stringMatching(/^Cannot write to the data folder \/data \(read-only file system\): .+$/),
  );
  expect(refused('EMFILE')).not.toBeInstanceOf(OperatorError);
});

it('knows no running system where there is no file', () => {
  const path = join(tmpdir(), 'pca-no-such-folder', 'run.json');
  expect([readRunFile(path), readRunning(path)]).toEqual([undefined, undefined]);
});
