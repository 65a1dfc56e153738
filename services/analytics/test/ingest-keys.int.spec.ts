import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ingestKeyCommand } from '../src/ingest-keys/ingest-key-command.js';
import { IngestKeyService } from '../src/ingest-keys/ingest-key.service.js';
import { IngestKeyStore } from '../src/ingest-keys/ingest-key.store.js';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';

interface Key {
  id: string;
  name: string;
  prefix: string;
  createdBy: string;
  expiresAt: string | null;
  revokedAt: string | null;
}

let sut: IngestUnderTest;
let owner: string;
beforeAll(async () => {
  sut = await startIngest();
  owner = await sut.token('owner');
});
afterAll(() => sut.stop());

const fields = 'id name prefix createdBy createdAt expiresAt revokedAt';
const list = async (token = owner): Promise<Key[]> =>
  (await sut.service.graphql<{ ingestKeys: Key[] }>(token, `{ ingestKeys { ${fields} } }`)).data?.ingestKeys ?? [];
const rotate = (id: string, overlapHours = 24, token = owner) =>
  sut.service.graphql<{ rotateIngestKey: { key: string; ingestKey: Key } }>(
    token,
    `mutation ($id: ID!, $h: Int!) { rotateIngestKey(id: $id, overlapHours: $h) { key ingestKey { ${fields} } } }`,
    { id, h: overlapHours },
  );
const revoke = (id: string, token = owner) =>
  sut.service.graphql<{ revokeIngestKey: Key }>(token, `mutation ($id: ID!) { revokeIngestKey(id: $id) { ${fields} } }`, { id });
const send = async (key: string): Promise<number> => (await sut.service.rest(key, 'POST', '/v1/track', { event: 'e', userId: 'u' })).status;

describe('a key', () => {
  // Broken by: a key that is kept as it is, or that is told again.
  it('is shown once, and only its digest is kept', async () => {
    const { key, id } = await sut.ingestKey();
    expect(key).toMatch(/^pca_wk_[A-Za-z0-9_-]{32}$/);
    const listed = (await list()).find((each) => each.id === id);
    expect(listed).toMatchObject({ name: 'site', prefix: key.slice(0, 11), createdBy: 'local-owner', expiresAt: null, revokedAt: null });
    const { rows } = await sut.database.pool.query<{ all: string }>(`select string_agg(k::text, ' ') as all from ingest_key k`);
    expect(rows[0]?.all).not.toContain(key.slice(11));
    expect(await send(key)).toBe(202);
  });

  // Broken by: a revoked key that its own process still remembers.
  it('opens nothing from the moment it is revoked', async () => {
    const { key, id } = await sut.ingestKey();
    expect(await send(key)).toBe(202);
    const { data } = await revoke(id);
    expect(data?.revokeIngestKey.revokedAt).not.toBeNull();
    expect(await send(key)).toBe(401);
    expect((await revoke(id)).data?.revokeIngestKey.revokedAt).toBe(data?.revokeIngestKey.revokedAt);
    expect((await rotate(id)).errors[0]?.extensions.code).toBe('NOT_FOUND');
  });

  // Broken by: a cache of another process that trusts a revoked key for longer than it says.
  it('is trusted by another process for ten seconds at most', async () => {
    const other = new IngestKeyService(new IngestKeyStore(sut.database));
    const { key, id } = await sut.ingestKey();
    await other.verify(key);
    await revoke(id);
    await expect(other.verify(key)).resolves.toMatchObject({ id });
    const later = performance.now() + 10_001;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => later);
    const opens = (): Promise<string> =>
      other.verify(key).then(
        () => 'open',
        (error: { code: string }) => error.code,
      );
    // The cache looks at the clock once in a millisecond.
    await expect.poll(opens, { interval: 5 }).toBe('UNAUTHENTICATED');
    clock.mockRestore();
  });

  // Broken by: a rotation that cuts off programs in the field, or one that never ends the old key.
  it('stays good for the overlap when another one takes its place', async () => {
    const { key, id } = await sut.ingestKey();
    const made = (await rotate(id)).data?.rotateIngestKey;
    expect(made?.ingestKey).toMatchObject({ name: 'site', expiresAt: null });
    expect([await send(key), await send(String(made?.key))]).toEqual([202, 202]);
    const former = (await list()).find((each) => each.id === id);
    expect(Date.parse(String(former?.expiresAt)) - Date.now()).toBeGreaterThan(23.9 * 3_600_000);
    expect((await rotate(id)).errors[0]?.extensions.code).toBe('NOT_FOUND');
    const again = (await rotate(String(made?.ingestKey.id), 0)).data?.rotateIngestKey;
    expect([await send(String(made?.key)), await send(String(again?.key))]).toEqual([401, 202]);
    for (const hours of [-1, 721])
      expect((await rotate(String(again?.ingestKey.id), hours)).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  // Broken by: a name that is a text without end or none at all.
  it('has a name', async () => {
    for (const name of ['', '  ', 'x'.repeat(257)]) {
      const { errors } = await sut.service.graphql(owner, 'mutation ($n: String!) { createIngestKey(input: {name: $n}) { key } }', {
        n: name,
      });
      expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
  });

  // Broken by: keys without end, of which nobody knows any more who has them.
  it('is one of a hundred live ones', async () => {
    let last = { key: '', id: '' };
    for (let n = 0; n < 100; n += 1) last = await sut.ingestKey('crowded');
    await expect(sut.ingestKey('crowded')).rejects.toThrow();
    await revoke(last.id, await sut.token('owner', 'crowded'));
    await sut.ingestKey('crowded');
  });
});

describe('who may', () => {
  // Broken by: a role below owner that hands out keys.
  it('are owners alone', async () => {
    const { id } = await sut.ingestKey();
    for (const role of ['viewer', 'analyst', 'editor'] as const) {
      const token = await sut.token(role);
      expect((await revoke(id, token)).errors[0]?.extensions.code).toBe('FORBIDDEN');
      expect((await rotate(id, 1, token)).errors[0]?.extensions.code).toBe('FORBIDDEN');
      for (const text of ['mutation { createIngestKey(input: {name: "x"}) { key } }', '{ ingestKeys { id } }']) {
        expect((await sut.service.graphql(token, text)).errors[0]?.extensions.code).toBe('FORBIDDEN');
      }
    }
  });

  // Broken by: a statement without the workspace.
  it('are owners of its own workspace', async () => {
    const { key, id } = await sut.ingestKey();
    const foreigner = await sut.token('owner', 'theirs');
    expect(await list(foreigner)).toEqual([]);
    for (const said of [await revoke(id, foreigner), await rotate(id, 1, foreigner), await revoke('no id', foreigner), await rotate('x')]) {
      expect(said.errors[0]?.extensions.code).toBe('NOT_FOUND');
    }
    expect(await send(key)).toBe(202);
  });
});

// Broken by: a command that makes another key each time, revives a revoked one, or works where the issuer is not this machine's.
it('the command prints the key of this machine, the same until it has ended', async () => {
  const print = async (...args: string[]): Promise<string> => {
    let printed = '';
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true));
    try {
      await ingestKeyCommand(sut.definition, args);
    } finally {
      write.mockRestore();
    }
    return printed.trim();
  };
  const first = await print();
  expect([await send(first), await print()]).toEqual([202, first]);
  const other = await print('--workspace', 'other');
  expect([await send(other), other === first, (await list(await sut.token('owner', 'other'))).length]).toEqual([202, false, 1]);
  const local = (await list()).find(({ name }) => name === 'local');
  await revoke(String(local?.id));
  const second = await print();
  expect([second === first, await send(first), await send(second), await print()]).toEqual([false, 401, 202, second]);
  await expect(print('--workspace', '../x')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  await expect(print('--nonsense')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  const { AUTH_JWKS_FILE: _file, ...env } = sut.definition.env;
  await expect(ingestKeyCommand({ ...sut.definition, env }, [])).rejects.toMatchObject({ code: 'FORBIDDEN' });
});
