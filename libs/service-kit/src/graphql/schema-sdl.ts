import type { INestApplicationContext } from '@nestjs/common';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { graphql } from 'graphql';

/** The subgraph's SDL as a gateway would fetch it: `_service { sdl }`, the one form that has @link and the federation directives in use. */
export const subgraphSdl = async (app: INestApplicationContext): Promise<string> => {
  const { schema } = app.get(GraphQLSchemaHost);
  const { data, errors } = await graphql({ schema, source: '{ _service { sdl } }' });
  if (errors?.[0]) throw errors[0];
  return `${(data as { _service: { sdl: string } })._service.sdl.trim()}\n`;
};
