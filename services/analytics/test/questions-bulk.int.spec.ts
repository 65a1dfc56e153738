import { seededRandom } from '@pca/testing';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type QuestionsUnderTest, startQuestions } from './questions-under-test.js';

let sut: QuestionsUnderTest;
beforeAll(async () => {
  sut = await startQuestions();
});
afterAll(() => sut.stop());

const random = seededRandom('users in bulk');
const start = Date.parse('2026-05-04T10:00:00Z');
const minute = 60_000;
const at = (minutes: number): string => new Date(start + minutes * minute).toISOString();
const count = 50;
const userIds = Array.from({ length: count }, (_unused, n) => `u${n}`);

/** Fifty users who share sessions, pages and instants; every third goes by an anonymous id as well, and one has more steps than others. */
const fill = async (): Promise<void> => {
  const events = Array.from({ length: 1_200 }, (_unused, n) => {
    const user = n < 300 ? 0 : random.int(count);
    const isAnonymous = user % 3 === 0 && random.int(3) === 0;
    const event = random.pick(['page', 'page', 'click', 'export', '$session_start']);
    return {
      ...{ timestamp: at(random.int(200) * 10), event, isBot: random.int(12) === 0, resource: random.pick([null, 'button']) },
      ...{ userId: isAnonymous ? null : `u${user}`, anonymousId: isAnonymous ? `a${user}` : null },
      ...{ page: random.pick([null, '/', '/shoes']), sessionId: random.int(4) === 0 ? `s${random.int(20)}` : null },
    };
  });
  await sut.store([...userIds.map((userId) => ({ userId, timestamp: at(0) })), ...events], 'bulk');
  for (const [n, userId] of userIds.entries()) if (n % 3 === 0) await sut.merge(userId, [`a${n}`], 'bulk');
};

const fields = `id aliases firstSeenAt lastSeenAt stats(includeBots: $b) { events sessions activeDays favouriteFeatures { event count } }
  sessions(limit: $l, includeBots: $b) { id startedAt events entryPage user { id } }
  journey(from: $f, to: $t, limit: $l, includeBots: $b) { at lastAt step event page resource count sessionId }`;
const inBulk = `query ($r: [_Any!]!, $f: Date, $t: Date, $l: Int!, $b: Boolean!) { _entities(representations: $r) { ... on User { ${fields} } } }`;
const oneByOne = `query ($id: ID!, $f: Date, $t: Date, $l: Int!, $b: Boolean!) { user(id: $id) { ${fields} } }`;
const referencesTo = (ids: readonly string[]) => ids.map((id) => ({ __typename: 'User', id }));

// Broken by: a statement for each user, in a reference or a field of one; a batch that mixes persons, or cuts all of them at one limit.
it('loads fifty users with as many statements as one, and answers as for each of them alone', async () => {
  await fill();
  const asked = vi.spyOn(sut.database.pool, 'query');
  /** Statements about persons: how fresh an answer is, is looked at once a second. */
  const statements = (): number => asked.mock.calls.splice(0).filter(([text]) => /\bperson\b/.test(String(text))).length;
  const ids = [...userIds.map((id, n) => (n % 3 === 0 && n % 2 === 0 ? `a${n}` : id)), 'nobody', 'u0'];
  for (const l of [1, 3, 200]) {
    const days = random.int(2) === 0 ? { f: null, t: null } : { f: '2026-05-04', t: '2026-05-05' };
    const variables = { ...days, l, b: random.int(2) === 0 };
    statements();
    const { _entities } = await sut.ask<{ _entities: unknown[] }>(inBulk, { ...variables, r: referencesTo(ids) }, 'bulk');
    const ofFifty = statements();
    const alone: unknown[] = [];
    for (const id of ids) alone.push((await sut.ask<{ user: unknown }>(oneByOne, { ...variables, id }, 'bulk')).user);
    expect(_entities, JSON.stringify(variables)).toEqual(alone);
    statements();
    await sut.ask(oneByOne, { ...variables, id: 'u0' }, 'bulk');
    expect(ofFifty).toBe(statements());
  }
  asked.mockRestore();
});

// Broken by: one statement for all, which what is wrong with one id refuses to all.
it('refuses a reference whose id is wrong without refusing those beside it', async () => {
  const ids = ['u1', '', 'a\0b', 'x'.repeat(257), 'u2', '\uD800'];
  const query = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { id } } }';
  const { data, errors } = await sut.service.graphql<{ _entities: unknown[] }>(await sut.token('viewer', 'bulk'), query, {
    r: referencesTo(ids),
  });
  expect(data?._entities).toEqual([{ id: 'u1' }, null, null, null, { id: 'u2' }, null]);
  expect(errors.map(({ path, extensions }) => [path?.[1], extensions.code])).toEqual([1, 2, 3].map((n) => [n, 'BAD_USER_INPUT']));
});
