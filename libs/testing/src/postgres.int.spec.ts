import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PrivatePostgres, startPrivatePostgres, type TestPostgres, testPostgres } from './postgres.js';

let shared: TestPostgres;
let own: PrivatePostgres;

beforeAll(async () => {
  [shared, own] = await Promise.all([testPostgres(), startPrivatePostgres()]);
});

afterAll(async () => {
  await Promise.all([shared.stop(), own.stop()]);
});

const query = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
};

it('gives each caller an empty database of its own on the shared server', async () => {
  const [one, two] = [await shared.createDatabase(), await shared.createDatabase()];
  await query(one.url, 'create table only_here (a int)');
  await expect(query(two.url, 'select * from only_here')).rejects.toThrow('does not exist');
  expect(await query(shared.url(one.name), 'select * from only_here')).toEqual([]);
});

it('drops them at the end', async () => {
  const other = await testPostgres();
  const { url } = await other.createDatabase();
  await other.stop();
  await expect(query(url, 'select 1')).rejects.toThrow('does not exist');
});

it('loses nothing that was committed when a private server is killed and started again', async () => {
  const { url } = await own.createDatabase();
  await query(url, 'create table kept (a int); insert into kept values (1)');
  await own.kill();
  await expect(query(url, 'select 1')).rejects.toThrow();
  await own.start();
  expect(await query(url, 'select a from kept')).toEqual([{ a: 1 }]);
});
