import { GraphQLScalarType } from 'graphql';

/** Values of JSON as clients sent them. */
export const JsonScalar = new GraphQLScalarType<unknown, unknown>({ name: 'JSON', description: 'Any value of JSON' });
