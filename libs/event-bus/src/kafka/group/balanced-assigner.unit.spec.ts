import { expect, it } from 'vitest';
import { randomFrom } from '../../../test/random.js';
import { shareOut } from './balanced-assigner.js';

// Broken by: partitions that nobody gets or two get, a member that gets what it does not consume, shares of a topic that differ by two.
it('shares out every partition once, evenly, and only to those who consume its topic', () => {
  const random = randomFrom('assignments');
  for (let round = 0; round < 500; round += 1) {
    const topics = Array.from({ length: 1 + random.below(5) }, (_, i) => `topic-${i}`);
    const partitionsOf = new Map(topics.map((topic) => [topic, Array.from({ length: 1 + random.below(12) }, (_, i) => i)]));
    const subscriptions = new Map(
      Array.from({ length: 1 + random.below(6) }, (_, i) => [`member-${i}`, topics.filter(() => random.chance(0.7))] as const),
    );
    const shares = shareOut(subscriptions, partitionsOf);
    const seed = `seed ${random.seed}, round ${round}`;
    expect([...shares.keys()].sort(), seed).toEqual([...subscriptions.keys()].sort());
    for (const [topic, partitions] of partitionsOf) {
      const takers: string[] = [...subscriptions].filter(([, wanted]) => wanted.includes(topic)).map(([member]) => member);
      const given = [...shares].map(([member, share]) => ({ member, partitions: share[topic] ?? [] }));
      const all = given.flatMap(({ partitions: own }) => own).sort((one, other) => one - other);
      expect(all, seed).toEqual(takers.length === 0 ? [] : partitions);
      const sizes = given.filter(({ member }) => takers.includes(member)).map(({ partitions: own }) => own.length);
      if (sizes.length > 0) expect(Math.max(...sizes) - Math.min(...sizes), seed).toBeLessThanOrEqual(1);
      for (const { member, partitions: own } of given) if (!takers.includes(member)) expect(own, seed).toEqual([]);
    }
  }
});

// Broken by: beginning with the same member for every topic.
it('gives many topics of one partition each to many members', () => {
  const topics = Array.from({ length: 9 }, (_, i) => `topic-${i}`);
  const shares = shareOut(new Map(['a', 'b', 'c'].map((member) => [member, topics])), new Map(topics.map((topic) => [topic, [0]])));
  expect([...shares.values()].map((share) => Object.keys(share).length)).toEqual([3, 3, 3]);
});

// Broken by: an order of members or topics that the broker happens to tell.
it('comes to the same result whoever leads', () => {
  const subscriptions: [string, string[]][] = [
    ['b', ['y', 'x']],
    ['a', ['x', 'y']],
  ];
  const partitions: [string, number[]][] = [
    ['y', [0, 1, 2]],
    ['x', [0, 1, 2]],
  ];
  const one = shareOut(new Map(subscriptions), new Map(partitions));
  const other = shareOut(new Map(subscriptions.toReversed()), new Map(partitions.toReversed()));
  expect(Object.fromEntries(one)).toEqual(Object.fromEntries(other));
});
