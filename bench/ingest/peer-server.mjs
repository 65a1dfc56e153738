// The peer: how small analytics servers take events in. One row a request and an insert of its own, answered when it is committed; a
// repeat is stored again.
import { once } from 'node:events';
import { createServer } from 'node:http';
import pg from 'pg';
import { answering } from './answering.mjs';

const connections = 10;

const start = async ({ database }) => {
  const pool = new pg.Pool({ connectionString: database, max: connections });
  await pool.query(
    'create table event (id bigint generated always as identity primary key, received_at timestamptz default now(), body jsonb)',
  );
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    await pool.query({ name: 'insert', text: 'insert into event (body) values ($1)', values: [body] });
    response.writeHead(202).end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${server.address().port}` };
};

answering({ start });
