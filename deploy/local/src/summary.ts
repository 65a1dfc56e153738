import type { RunningServer } from './data/run-file.js';
import { table } from './output/table.js';

export interface SummaryInput {
  /** Since the start. */
  readonly seconds: number;
  readonly gatewayUrl: string;
  readonly hasEdge: boolean;
  readonly services: readonly { readonly name: string; readonly url: string; readonly state: string }[];
  readonly database: RunningServer | undefined;
  /** undefined: events travel over the database. */
  readonly broker: RunningServer | undefined;
  /** undefined: tokens come from elsewhere. */
  readonly token: { readonly text: string; readonly workspace: string } | undefined;
  readonly paths: { readonly data: string; readonly logs: string; readonly token: string };
}

/** What a person reads when the system is up; the fields are the same for a program, without the token. */
export const summary = (input: SummaryInput): { lines: string[]; fields: Record<string, unknown> } => {
  const { seconds, gatewayUrl, hasEdge, services, database, broker, token, paths } = input;
  const allReady = services.every(({ state }) => state === 'ready');
  const head = allReady
    ? `PCA Agent is ready after ${seconds.toFixed(1)} s.`
    : `PCA Agent is up after ${seconds.toFixed(1)} s, but not everything is ready.`;
  const serverRow = (name: string, variable: string, { port, state }: RunningServer): string[] => [
    name,
    port === undefined ? variable : `127.0.0.1:${port}`,
    state,
  ];
  const rows = [
    ...services.map(({ name, url, state }) => [name, url, state]),
    ...(broker ? [serverRow('kafka', 'KAFKA_BROKERS', broker)] : []),
    ...(database ? [serverRow('postgres', 'DATABASE_URL', database)] : []),
  ];
  const facts = [
    ...(hasEdge
      ? [
          ['Open', gatewayUrl],
          ['GraphQL', `${gatewayUrl}/graphql`],
        ]
      : []),
    ...(token && hasEdge && services.some(({ name }) => name === 'analytics')
      ? [
          [
            'Events',
            `curl -u $(npm run --silent ingest-key): ${gatewayUrl}/v1/track -H 'content-type: application/json' -d '{"userId": "ann", "event": "Signed Up"}'`,
          ],
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
      ...table(['service', 'url', 'state'], rows),
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
