import pg from 'pg';

const duplicateDatabase = '42P04';
const uniqueViolation = '23505';

/** The URL of another database of the same server, with everything else (user, options) kept. */
export const databaseUrl = (serverUrl: string, database: string): string => {
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.toString();
};

/** Creates a database unless it is there; true when it was created. Two callers at once are fine. */
export const createDatabaseIfMissing = async (serverUrl: string, name: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: serverUrl, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (found.rowCount !== 0) return false;
    await client.query(`create database ${client.escapeIdentifier(name)}`);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === duplicateDatabase || code === uniqueViolation) return false;
    throw error;
  } finally {
    await client.end();
  }
};
