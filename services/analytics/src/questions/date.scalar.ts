import { GraphQLScalarType } from 'graphql';

/**
 * A calendar day of the workspace; an instant stands for itself, because events know theirs. A subgraph's schema is built from its text, so
 * what a client sends is checked where it is read, by `timeRangeOf`.
 */
export const DateScalar = new GraphQLScalarType<string, string>({
  name: 'Date',
  description:
    'A calendar day, YYYY-MM-DD. An ISO 8601 instant is accepted as input: numbers of days take the day it falls on in the time zone of the ' +
    'query, behaviour is cut at the instant itself.',
});
