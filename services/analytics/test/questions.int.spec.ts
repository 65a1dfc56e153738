import { encodeAnalyticsId, type TrackedEvent } from '@pca/contracts';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type QuestionsUnderTest, startQuestions } from './questions-under-test.js';

let sut: QuestionsUnderTest;
beforeAll(async () => {
  sut = await startQuestions({ DATABASE_STATEMENT_MS_MAX: '6000' });
});
afterAll(() => sut.stop());

const minute = 60_000;
const start = Date.parse('2026-05-04T10:00:00Z');
const at = (minutes: number): string => new Date(start + minutes * minute).toISOString();
const plain: Partial<TrackedEvent> = { userId: null, page: null, context: {} };
const done = (minutes: number, event: Partial<TrackedEvent>): Partial<TrackedEvent> => ({ ...plain, timestamp: at(minutes), ...event });
const viewed = (minutes: number, page: string, event: Partial<TrackedEvent>): Partial<TrackedEvent> =>
  done(minutes, { event: 'page', page, ...event });

const trait = (workspace: string, id: string, traits: object, when: string): Promise<unknown> =>
  sut.database.pool.query(
    `insert into person (workspace, is_known, external_id, traits, traits_at)
     select number, true, $2, $3, $4 from workspace where id = $1
     on conflict (workspace, external_id, is_known) do update set traits = excluded.traits, traits_at = excluded.traits_at`,
    [workspace, id, JSON.stringify(traits), when],
  );

// Broken by: ids and traits that are cut when they are all here already, or a cut that takes the speaking id or what was said last.
it('shows a thousand ids of a person who has more, and the newest of what was piled up', async () => {
  await sut.store([done(0, { userId: 'crowd', event: 'click' })], 'crowd');
  await sut.database.pool.query(
    `insert into person (workspace, is_known, external_id, canonical, traits, traits_at)
     select p.workspace, false, 'anon-' || n, p.canonical,
       json_build_object('t' || n, (select string_agg(md5(n || '/' || i), '') from generate_series(1, 64) i)), now() - n * interval '1 second'
     from person p join workspace w on w.number = p.workspace, generate_series(1, 1200) n where w.id = 'crowd' and p.external_id = 'crowd'`,
  );
  const { user } = await sut.ask<{ user: { id: string; aliases: string[]; traits: object } }>(
    '{ user(id: "anon-1200") { id aliases traits } }',
    {},
    'crowd',
  );
  expect([user.id, user.aliases.length]).toEqual(['crowd', 1_000]);
  const shown = Object.keys(user.traits);
  expect(shown).toContain('t1');
  expect(shown.length).toBeLessThan(400);
});

// Broken by: looking for one id only, an alias that speaks for its person, traits of one id that hide another's.
it('finds a person by every id, with what is known under all of them', async () => {
  const events = [
    done(0, { anonymousId: 'anon', event: 'click' }),
    done(5, { userId: 'old-ada', event: 'click' }),
    done(9, { userId: 'ada', event: 'click' }),
    // An anonymous id that is spelled as a userId is not that user.
    done(50, { anonymousId: 'bo', event: 'click' }),
    done(60, { userId: 'bo', event: 'click' }),
  ];
  await sut.store(events, 'ids');
  await sut.merge('ada', ['anon'], 'ids');
  await sut.database.pool.query(
    `update person o set is_aliased = true, canonical = n.canonical from person n where o.external_id = 'old-ada' and n.external_id = 'ada'`,
  );
  await trait('ids', 'old-ada', { name: 'Ada L', plan: 'free', __proto__x: 1 }, '2026-05-01T00:00:00Z');
  await trait('ids', 'ada', { name: 'Ada Lovelace', email: 'Ada@Example.org' }, '2026-05-02T00:00:00Z');
  const expected = {
    id: 'ada',
    aliases: ['old-ada', 'anon'],
    traits: { name: 'Ada Lovelace', plan: 'free', email: 'Ada@Example.org', __proto__x: 1 },
    firstSeenAt: at(0),
    lastSeenAt: at(9),
    stats: { events: 3 },
  };
  const query = 'query ($id: ID!) { user(id: $id) { id aliases traits firstSeenAt lastSeenAt stats { events } } }';
  for (const id of ['ada', 'old-ada', 'anon']) expect(await sut.ask(query, { id }, 'ids'), id).toEqual({ user: expected });
  expect(await sut.ask('{ user(id: "bo") { firstSeenAt } }', {}, 'ids')).toEqual({ user: { firstSeenAt: at(60) } });
  expect(await sut.ask('{ user(id: "nobody") { id } }', {}, 'ids')).toEqual({ user: null });
  const reference = {
    r: [
      { __typename: 'User', id: 'anon' },
      { __typename: 'User', id: 'nobody' },
    ],
  };
  const entities = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { id } } }';
  expect(await sut.ask(entities, reference, 'ids')).toEqual({ _entities: [{ id: 'ada' }, null] });
});

// Broken by: a search by pattern instead of text, merged persons listed twice, persons of whom nothing is known.
it('lists persons by their ids, and searches ids, names and addresses as they are written', async () => {
  await sut.store([done(0, { userId: 'u_1' }), done(0, { userId: 'ux1' }), done(0, { anonymousId: 'b' })], 'list');
  await sut.merge('u_1', ['b'], 'list');
  await trait('list', 'said-only', { firstName: 'Émile', lastName: 'Zola' }, '2026-05-01T00:00:00Z');
  await trait('list', 'ux1', { email: 'X@Example.org' }, '2026-05-01T00:00:00Z');
  await sut.database.pool.query(
    `insert into person (workspace, is_known, external_id) select number, true, 'never-seen' from workspace where id = 'list'`,
  );
  const ids = async (search: string | null, limit = 20): Promise<string[]> => {
    const query = 'query ($search: String, $limit: Int!) { users(search: $search, limit: $limit) { id } }';
    return (await sut.ask<{ users: { id: string }[] }>(query, { search, limit }, 'list')).users.map(({ id }) => id);
  };
  expect(await ids(null)).toEqual(['said-only', 'u_1', 'ux1']);
  expect(await ids(null, 2)).toEqual(['said-only', 'u_1']);
  expect(await ids('U_')).toEqual(['u_1']);
  expect(await ids('B')).toEqual(['u_1']);
  expect(await ids('%')).toEqual([]);
  expect(await ids('x@example')).toEqual(['ux1']);
  expect(await ids('mile zo')).toEqual(['said-only']);
});

const sessionQuery = `query ($id: ID!) { session(id: $id) { id startedAt endedAt durationSeconds events pageViews isBounce entryPage exitPage
  device utmCampaign utmSource user { id } } }`;

// Broken by: markers counted as events, an exit page taken from the first view, a campaign taken from an event without one.
it('shows a session that the client named, whoever was in it', async () => {
  const own = { sessionId: 'visit' };
  await sut.store(
    [
      done(0, { ...own, anonymousId: 'x', event: '$session_start' }),
      viewed(1, '/', { ...own, anonymousId: 'x', context: { device: 'mobile' } }),
      viewed(200, '/cart', { ...own, userId: 'y', context: { utmCampaign: 'Spring', utmSource: 'news' } }),
      done(201, { ...own, userId: 'y', event: 'purchase', context: { utmCampaign: 'Summer' } }),
      done(210, { ...own, userId: 'y', event: '$session_end' }),
    ],
    'named',
  );
  expect(await sut.ask(sessionQuery, { id: 'visit' }, 'named')).toEqual({
    session: {
      ...{ id: 'visit', startedAt: at(0), endedAt: at(210), durationSeconds: 12_600, events: 3, pageViews: 2, isBounce: false },
      ...{ entryPage: '/', exitPage: '/cart', device: 'mobile', utmCampaign: 'Spring', utmSource: 'news', user: { id: 'x' } },
    },
  });
  // Each person shows their own part of it.
  const parts = await sut.ask('{ x: user(id: "x") { sessions { id events } } y: user(id: "y") { sessions { id events } } }', {}, 'named');
  expect(parts).toEqual({ x: { sessions: [{ id: 'visit', events: 1 }] }, y: { sessions: [{ id: 'visit', events: 2 }] } });
  expect(await sut.ask(sessionQuery, { id: 'no such' }, 'named')).toEqual({ session: null });
});

// Broken by: ids that hold the place of a session in a list, or its exact beginning.
it('finds a session without a name again, also after a late event and a merge', async () => {
  await sut.store(
    [viewed(0, '/', { anonymousId: 'p' }), viewed(30, '/next', { anonymousId: 'p' }), viewed(61, '/late', { anonymousId: 'p' })],
    'derived',
  );
  const listed = await sut.ask<{ user: { sessions: { id: string; isBounce: boolean; pageViews: number }[] } }>(
    '{ user(id: "p") { sessions { id isBounce pageViews } } }',
    {},
    'derived',
  );
  expect(listed.user.sessions.map(({ isBounce, pageViews }) => [isBounce, pageViews])).toEqual([
    [true, 1],
    [false, 2],
  ]);
  const id = listed.user.sessions[1]?.id as string;
  await sut.store([viewed(-20, '/before', { anonymousId: 'p' }), done(-10, { userId: 'pia', event: 'login' })], 'derived');
  await sut.merge('pia', ['p'], 'derived');
  expect(await sut.ask(sessionQuery, { id }, 'derived')).toMatchObject({
    session: { startedAt: at(-20), endedAt: at(30), events: 4, entryPage: '/before', user: { id: 'pia' } },
  });
  for (const wrong of ['~', '~zzzzzz.1', '~1.zzzzzzzzz', '~1.-5', '~0.0'])
    expect(await sut.ask(sessionQuery, { id: wrong }, 'derived')).toEqual({ session: null });
});

// Broken by: a default that counts bots, an argument that is not passed on.
it('leaves bots out unless they are asked for', async () => {
  await sut.store([viewed(0, '/', { userId: 'man' }), viewed(0, '/', { userId: 'machine', isBot: true, sessionId: 'crawl' })], 'bots');
  const query = `query ($b: Boolean!) { users(includeBots: $b) { id stats(includeBots: $b) { events } sessions(includeBots: $b) { events }
    journey(includeBots: $b) { step } } featureUsage(includeBots: $b) { count } pageViews(includeBots: $b) { count } session(id: "crawl", includeBots: $b) { id } }`;
  const did = { stats: { events: 1 }, sessions: [{ events: 1 }], journey: [{ step: '/' }] };
  expect(await sut.ask(query, { b: false }, 'bots')).toEqual({
    users: [{ id: 'man', ...did }],
    featureUsage: [{ count: 1 }],
    pageViews: [{ count: 1 }],
    session: null,
  });
  expect(await sut.ask(query, { b: true }, 'bots')).toEqual({
    users: [
      { id: 'machine', ...did },
      { id: 'man', ...did },
    ],
    featureUsage: [{ count: 2 }],
    pageViews: [{ count: 2 }],
    session: { id: 'crawl' },
  });
});

// Broken by: a resource whose rarest event is shown, an event that takes the resource's place.
it('counts by resource, with the event that is done to it most', async () => {
  const to = (resource: string, event: string): Partial<TrackedEvent> => done(0, { userId: 'u', resource, event });
  await sut.store([to('button', 'hover'), to('button', 'click'), to('button', 'click'), to('list', 'scroll')], 'resources');
  expect(await sut.ask('{ featureUsage(by: RESOURCE, limit: 1) { event resource count } }', {}, 'resources')).toEqual({
    featureUsage: [{ event: 'click', resource: 'button', count: 3 }],
  });
  expect(await sut.ask('{ featureUsage(limit: 1) { event resource count } }', {}, 'resources')).toEqual({
    featureUsage: [{ event: 'click', resource: null, count: 2 }],
  });
});

// Broken by: a session that is cut at the edge of the range, or looked for through all time.
it('sees of a session what lies within a day of the range', async () => {
  const day = 24 * 60;
  const hours = (h: number): Partial<TrackedEvent> => done(h * 60, { userId: 'u', sessionId: 'long' });
  await sut.store([hours(0), hours(20), hours(40), done(5 * day, { userId: 'u', sessionId: 'long' })], 'long');
  const id = encodeAnalyticsId({ from: '2026-05-04', to: '2026-05-04', platform: null, currency: 'EUR', interval: 'DAY', timeZone: 'UTC' });
  const query =
    'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Analytics { behaviour { sessions averageSessionSeconds } } } }';
  const { _entities } = await sut.ask<{ _entities: unknown }>(query, { r: [{ __typename: 'Analytics', id }] }, 'long');
  // Its second event lies on the next day, its third and fourth further away than that.
  expect(_entities).toEqual([{ behaviour: { sessions: 1, averageSessionSeconds: 20 * 3600 } }]);
});

// Broken by: a statement for each campaign.
it('asks for twenty campaigns at once', async () => {
  const asked = vi.spyOn(sut.database.pool, 'query');
  const r = Array.from({ length: 20 }, (_unused, i) => ({ __typename: 'Campaign', id: `c${i}`, name: `Campaign ${i}`, externalId: null }));
  const query = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Campaign { behaviour { sessions } } } }';
  await sut.ask(query, { r }, 'campaigns');
  expect(asked.mock.calls.filter(([text]) => String(text).includes('utmCampaign'))).toHaveLength(1);
  asked.mockRestore();
});

// Broken by: a bound that is not checked, or checked with another code.
it('refuses what it cannot answer, with BAD_USER_INPUT and the reason', async () => {
  await sut.store([done(0, { userId: 'u' })]);
  const analytics = (id: string): [string, object] => [
    'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Analytics { behaviour { events } } } }',
    { r: [{ __typename: 'Analytics', id }] },
  ];
  const range = { from: '2026-01-01', to: '2026-01-02', platform: null, currency: 'EUR', interval: 'DAY' as const };
  const refused: [string, string, object?][] = [
    ['limit', '{ users(limit: 0) { id } }'],
    ['limit', '{ users(limit: 201) { id } }'],
    ['search', 'query ($s: String) { users(search: $s) { id } }', { s: 'x'.repeat(257) }],
    ['limit', '{ featureUsage(limit: 201) { count } }'],
    ['limit', '{ pageViews(limit: 0) { count } }'],
    ['limit', '{ user(id: "u") { sessions(limit: 201) { id } } }'],
    ['limit', '{ user(id: "u") { journey(limit: 1001) { at } } }'],
    ['id', '{ user(id: "") { id } }'],
    ['id', 'query ($id: ID!) { session(id: $id) { id } }', { id: 'x'.repeat(257) }],
    ['cannot be stored', 'query ($id: ID!) { user(id: $id) { id } }', { id: 'a\0b' }],
    ['from must not lie after to', '{ featureUsage(from: "2026-02-01", to: "2026-01-01") { count } }'],
    ['from must not lie after to', '{ user(id: "u") { journey(from: "2026-02-01", to: "2026-01-01") { at } } }'],
    ['from: must be a day', '{ pageViews(from: "yesterday") { count } }'],
    ['to: must lie in the years 1970 to 2100', '{ pageViews(to: "2101-01-01T00:00:00Z") { count } }'],
    ['no id of an Analytics', ...analytics('nonsense')],
    ['no id of an Analytics', ...analytics(encodeAnalyticsId({ ...range, timeZone: 'Middle/Earth' }))],
    ['from: must lie in the years', ...analytics(encodeAnalyticsId({ ...range, from: '0001-01-01', timeZone: 'UTC' }))],
    [
      'conversionEvents',
      `{ _entities(representations: [{ __typename: "Campaign", id: "c", name: "n" }]) { ... on Campaign { behaviour(conversionEvents: []) { users } } } }`,
    ],
  ];
  for (const [reason, query, variables] of refused) {
    const error = await sut.refusal(query, variables);
    expect([error?.extensions.code, error?.message], query).toEqual(['BAD_USER_INPUT', expect.stringContaining(reason)]);
  }
});

// Broken by: a question that waits for ever, or an error that shows SQL.
it('gives a question up that takes too long', async () => {
  const lock = await sut.database.pool.connect();
  await lock.query('begin; lock table event in access exclusive mode');
  const error = await sut.refusal('{ featureUsage { count } }');
  await lock.query('rollback');
  lock.release();
  expect(error).toMatchObject({ message: 'The query took too long', extensions: { code: 'TIMEOUT' } });
});
