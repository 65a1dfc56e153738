import { GraphQLScalarType } from 'graphql';

/** Values of JSON as clients sent them. Output only. */
export const JsonScalar = new GraphQLScalarType<unknown, unknown>({
  name: 'JSON',
  description: 'Any value of JSON',
  serialize: (value) => value,
  parseValue: (value) => value,
});
