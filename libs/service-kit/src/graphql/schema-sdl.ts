import type { INestApplicationContext } from '@nestjs/common';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { printSubgraphSchema } from '@apollo/subgraph';
import { lexicographicSortSchema } from 'graphql';

/** The subgraph's SDL with its federation directives and @link, sorted so that a diff shows changes and not order. */
export const subgraphSdl = (app: INestApplicationContext): string => `${printSubgraphSchema(lexicographicSortSchema(app.get(GraphQLSchemaHost).schema))}\n`;
