import { composeServices } from '@apollo/composition';
import { type GraphQLError, lexicographicSortSchema, parse, printSchema } from 'graphql';

export class CompositionFailed extends Error {
  override readonly name = 'CompositionFailed';
}

export interface Composed {
  /** For the gateway. */
  supergraph: string;
  /** For clients: no federation in it. */
  api: string;
}

/**
 * One supergraph of all subgraphs. The URLs in it are placeholders; the gateway takes the real ones from its environment.
 * Throws CompositionFailed with every error and the subgraphs that it concerns.
 */
export const compose = (subgraphs: readonly { name: string; sdl: string }[]): Composed => {
  const result = composeServices(subgraphs.map(({ name, sdl }) => ({ name, url: `http://${name}/graphql`, typeDefs: parse(sdl) })));
  if (result.errors) throw new CompositionFailed(`The subgraphs do not compose:\n${result.errors.map(described).join('\n')}`);
  const api = lexicographicSortSchema(result.schema.toAPISchema().toGraphQLJSSchema());
  return { supergraph: result.supergraphSdl, api: printSchema(api) };
};

const described = (error: GraphQLError): string => {
  const places = (error.nodes ?? []).flatMap((node) => {
    const { subgraph, loc } = node as typeof node & { subgraph?: string };
    return subgraph && loc ? [`${subgraph} line ${loc.startToken.line}`] : [];
  });
  const code = String(error.extensions['code'] ?? 'ERROR');
  return `  ${code}: ${error.message.replaceAll('\n', '\n    ')}${places.length > 0 ? ` (${[...new Set(places)].join(', ')})` : ''}`;
};
