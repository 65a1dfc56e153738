import { createService, type ServiceDefinition } from '@pca/service-kit';

export interface GraphqlAnswer<T> {
  status: number;
  data: T | null;
  errors: { message: string; path?: (string | number)[]; extensions: { code: string; [key: string]: unknown } }[];
}

export interface RunningService {
  readonly url: string;
  graphql<T = Record<string, unknown>>(token: string, query: string, variables?: object): Promise<GraphqlAnswer<T>>;
  /** A REST request with a JSON body, or with the body as it is when headers name its type. */
  rest(token: string | undefined, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  stop(): Promise<void>;
}

/** Asks a GraphQL endpoint as a client would. */
export const askGraphql = async <T>(
  url: string,
  token: string | undefined,
  query: string,
  variables?: object,
): Promise<GraphqlAnswer<T>> => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const body = (await response.json()) as Partial<GraphqlAnswer<T>>;
  return { status: response.status, data: body.data ?? null, errors: body.errors ?? [] };
};

export const askRest = (
  url: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> => {
  const typed = 'content-type' in headers;
  return fetch(`${url}${path}`, {
    method,
    headers: {
      ...(body !== undefined && !typed && { 'content-type': 'application/json' }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: typed ? (body as NonNullable<RequestInit['body']>) : JSON.stringify(body) }),
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  } as RequestInit);
};

/** A service in the test's own process, on a port of its own: everything but signals and background work, which processes test. */
export const startTestService = async (definition: ServiceDefinition): Promise<RunningService> => {
  const { app, health } = await createService(definition);
  await definition.database?.start(() => undefined);
  await app.listen(0, '127.0.0.1');
  health.start();
  const url = await app.getUrl();
  return {
    url,
    graphql: (token, query, variables) => askGraphql(url, token, query, variables),
    rest: (token, method, path, body, headers) => askRest(url, token, method, path, body, headers),
    stop: async () => {
      await app.close();
      await definition.database?.stop();
    },
  };
};
