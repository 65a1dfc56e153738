import { describe, expect, it } from 'vitest';
import { breakingChangesOf } from './breaking-changes.ts';
import { compose, CompositionFailed } from './compose.ts';

const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])\n';
const books = { name: 'books', sdl: `${link} type Query { book(id: ID!): Book } type Book @key(fields: "id") { id: ID! title: String! }` };
const reviews = { name: 'reviews', sdl: `${link} type Book @key(fields: "id") { id: ID! stars: String }` };

describe('compose', () => {
  it('joins the fields of an entity, with placeholder URLs, whatever the order', () => {
    const { supergraph, api } = compose([books, reviews]);
    expect(supergraph).toContain('@join__graph(name: "reviews", url: "http://reviews/graphql")');
    expect(api).toContain('type Book {\n  id: ID!\n  stars: String\n  title: String!\n}');
    expect(api).not.toContain('join__');
    expect(compose([reviews, books]).api).toBe(api);
  });

  it('says what does not fit, where, and in which subgraphs', () => {
    const clash = { name: 'clash', sdl: `${link}\ntype Book @key(fields: "id") { id: ID!\n title: Int! }` };
    expect(() => compose([books, clash])).toThrow(CompositionFailed);
    expect(() => compose([books, clash])).toThrow(/FIELD_TYPE_MISMATCH: .*"Book\.title".*books.*clash.*\(.*books line 2, clash line 4/s);
  });
});

describe('breakingChangesOf', () => {
  const { api } = compose([books, reviews]);

  it('finds nothing when a field is added, and one sentence for a field that is gone', () => {
    expect(breakingChangesOf(compose([books]).api, api)).toEqual([]);
    expect(breakingChangesOf(api, compose([books]).api)).toEqual(['Book.stars was removed.']);
  });

  it('has nothing to compare a first version with', () => {
    expect(breakingChangesOf(undefined, api)).toEqual([]);
  });
});
