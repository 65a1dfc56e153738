import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';
import { dayOrInstantSchema } from '../campaigns/campaign-input.js';

const check = (value: unknown): string => {
  const parsed = dayOrInstantSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new GraphQLError('A Date is a day (YYYY-MM-DD) or an ISO 8601 instant', { extensions: { code: 'BAD_USER_INPUT' } });
};

/** A calendar day. An instant is accepted too and becomes the day that it falls on in the time zone of the query. */
export const DateScalar = new GraphQLScalarType<string, string>({
  name: 'Date',
  description:
    'A calendar day, YYYY-MM-DD. An ISO 8601 instant is accepted as input: numbers of days take the day it falls on in the time zone of the ' +
    'query, behaviour is cut at the instant itself.',
  serialize: (value) => String(value),
  parseValue: check,
  parseLiteral: (node) => check(node.kind === Kind.STRING ? node.value : undefined),
});
