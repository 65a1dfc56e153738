import type { DatabaseServer } from './data/database-server.js';
import { table } from './output/table.js';

export interface SummaryInput {
  /** Since the start. */
  readonly seconds: number;
  readonly gatewayUrl: string;
  readonly hasEdge: boolean;
  readonly services: readonly { readonly name: string; readonly url: string; readonly state: string }[];
  readonly database: Pick<DatabaseServer, 'embedded' | 'port' | 'state'> | undefined;
  /** undefined: tokens come from elsewhere. */
  readonly token: { readonly text: string; readonly workspace: string } | undefined;
  readonly paths: { readonly data: string; readonly logs: string; readonly token: string };
}

/** What a person reads when the system is up; the fields are the same for a program, without the token. */
export const summary = (input: SummaryInput): { lines: string[]; fields: Record<string, unknown> } => {
  const { seconds, gatewayUrl, hasEdge, services, database, token, paths } = input;
  const allReady = services.every(({ state }) => state === 'ready');
  const head = allReady
    ? `PCA Agent is ready after ${seconds.toFixed(1)} s.`
    : `PCA Agent is up after ${seconds.toFixed(1)} s, but not everything is ready.`;
  const databaseRow = ['postgres', database?.port === undefined ? 'DATABASE_URL' : `127.0.0.1:${database.port}`, database?.state ?? ''];
  const facts = [
    ...(hasEdge
      ? [
          ['Open', gatewayUrl],
          ['GraphQL', `${gatewayUrl}/graphql`],
        ]
      : []),
    ['Data', paths.data],
    ['Logs', paths.logs],
    ...(token ? [['Token', `admin of workspace ${token.workspace}, for 24 hours, also in ${paths.token}:`]] : []),
  ].map(([name = '', value]) => `  ${name.padEnd(8)} ${value}`);
  return {
    lines: [
      '',
      head,
      '',
      ...table(['service', 'url', 'state'], [...services.map(({ name, url, state }) => [name, url, state]), databaseRow]),
      '',
      ...facts,
      ...(token ? ['', token.text] : []),
      '',
      'Ctrl-C stops everything; the data stays.',
      '',
    ],
    fields: { msg: head, gatewayUrl, services: services.map(({ name, url, state }) => ({ name, url, state })), dataDir: paths.data },
  };
};
