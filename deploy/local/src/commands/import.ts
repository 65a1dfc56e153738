import { createReadStream, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { localWorkspaceId } from '@pca/service-kit';
import { request } from 'undici';
import { dataPaths } from '../data/data-folder.js';
import { readRunning } from '../data/run-file.js';
import { readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { makeToken } from './token.js';

const usage =
  'npm run import -- --format generic [--platform P] [--currency C] [--map field=column,…] [--date-format F] [--decimal point|comma] ' +
  '[--delimiter D] [--encoding E] [--breakdown column,…] [--workspace ID] FILE';

/** Options of the command and the names they have in the query string. */
const queryNames: Readonly<Record<string, string>> = {
  format: 'format',
  platform: 'platform',
  currency: 'currency',
  map: 'map',
  'date-format': 'dateFormat',
  decimal: 'decimal',
  delimiter: 'delimiter',
  encoding: 'encoding',
  breakdown: 'breakdown',
};

interface Rejected {
  line: number;
  column: string | null;
  value: string;
  reason: string;
}

interface Report {
  bytesRead: number;
  rows: number;
  rejected: number;
  rejectedRows: Rejected[];
  summedRows: number;
  changedRows: number;
  campaignsCreated: number;
  campaignsTotal: number;
  reading?: { encoding: string; delimiter: string; dateFormat?: string; ignored: string[]; notices: { message: string }[] };
}

interface Line {
  type: 'progress' | 'report' | 'problem';
  state?: string;
  bytesRead?: number;
  rows?: number;
  rejected?: number;
  campaignsMerged?: number;
  campaignsTotal?: number;
  report?: Report;
  problem?: Problem;
}

interface Problem {
  code: string;
  detail: string;
  [extension: string]: unknown;
}

interface ImportCall {
  file: string;
  bytes: number;
  workspace: string;
  query: URLSearchParams;
}

/** The call that the arguments ask for. Throws OperatorError, in one line. */
export const readArguments = (args: readonly string[], folder: string): ImportCall => {
  const names = [...Object.keys(queryNames), 'workspace'];
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  let parsed: { values: Record<string, string | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true }) as typeof parsed;
  } catch (error) {
    throw new OperatorError(`${(error as Error).message.split('. ')[0]}. Usage: ${usage}`, { cause: error });
  }
  const [file, ...others] = parsed.positionals;
  if (!file || others.length > 0) throw new OperatorError(`Name one file. Usage: ${usage}`);
  const query = new URLSearchParams();
  for (const [name, queryName] of Object.entries(queryNames)) {
    const value = parsed.values[name];
    if (value !== undefined) query.set(queryName, value);
  }
  const path = resolve(folder, file);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new OperatorError(`There is no file ${path}`);
  return { file: path, bytes: stat.size, workspace: parsed.values['workspace'] ?? localWorkspaceId, query };
};

/**
 * `npm run import`: sends a file to the running system and shows how far it is, then what came of it. Exit code 1 when nothing was stored.
 */
export const importFile = async (args: readonly string[]): Promise<number> => {
  const env = readEnv(repositoryRoot);
  // npm runs scripts in the repository; a relative path is meant from where the user stands.
  const call = readArguments(args, env.given['INIT_CWD'] ?? process.cwd());
  const running = readRunning(dataPaths(env.dataDir).run);
  if (!running) throw new OperatorError('The system is not running on this data folder: run npm start first, in another terminal');
  const token = await makeToken(['--role', 'editor', '--workspace', call.workspace], env);
  try {
    return await send(call, running.gatewayUrl, token);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperatorError(`The connection broke (${reason}); the same import again does the rest`, { cause: error });
  }
};

const send = async (call: ImportCall, gatewayUrl: string, token: string): Promise<number> => {
  const answer = await request(`${gatewayUrl}/v1/imports?${call.query}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/octet-stream',
      'content-length': String(call.bytes),
      accept: 'application/x-ndjson',
    },
    body: createReadStream(call.file),
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  if (answer.statusCode !== 200) throw refused((await answer.body.json()) as Problem);
  for await (const text of createInterface({ input: answer.body, crlfDelay: Number.POSITIVE_INFINITY })) {
    const line = JSON.parse(text) as Line;
    if (line.type === 'progress') showProgress(line, call);
    else {
      clearProgress();
      if (line.problem) throw refused(line.problem);
      if (line.report) return showReport(line.report, call);
    }
  }
  throw new OperatorError('The connection ended before the report came; the same import again does the rest');
};

const refused = ({ code, detail, ...rest }: Problem): OperatorError => {
  const option =
    typeof rest['option'] === 'string'
      ? ` (${rest['option']}${Array.isArray(rest['candidates']) ? `: ${rest['candidates'].join(' or ')}` : ''})`
      : '';
  return new OperatorError(`${code}: ${detail}${option}`);
};

const count = (n: number): string => n.toLocaleString('en-US');
const onTerminal = process.stderr.isTTY === true;

const showProgress = (line: Line, { bytes }: ImportCall): void => {
  const merging = line.state === 'MERGING';
  const done = merging ? (line.campaignsMerged ?? 0) / Math.max(1, line.campaignsTotal ?? 1) : (line.bytesRead ?? 0) / Math.max(1, bytes);
  const text = `${merging ? 'storing' : 'reading'} ${Math.floor(100 * done)} %, ${count(line.rows ?? 0)} rows, ${count(line.rejected ?? 0)} rejected`;
  process.stderr.write(onTerminal ? `\r\x1b[K${text}` : `${text}\n`);
};

const clearProgress = (): void => {
  if (onTerminal) process.stderr.write('\r\x1b[K');
};

const rejectedShown = 20;

const showReport = (report: Report, { file }: ImportCall): number => {
  const lines = [
    `${basename(file)}: ${count(report.rows)} rows of ${count(report.campaignsTotal)} campaigns taken in, ${count(report.rejected)} rejected`,
    `  ${count(report.changedRows)} stored rows are new or changed, ${count(report.campaignsCreated)} campaigns are new`,
  ];
  if (report.summedRows > 0)
    lines.push(
      `  ${count(report.summedRows)} rows share campaign, day and breakdown with another row and were added up; --breakdown names what tells them apart`,
    );
  const { reading } = report;
  if (reading)
    lines.push(`  read as ${reading.encoding}, delimiter ${JSON.stringify(reading.delimiter)}, dates ${reading.dateFormat ?? 'none'}`);
  for (const { message } of reading?.notices ?? []) lines.push(`  note: ${message}`);
  for (const { line, column, value, reason } of report.rejectedRows.slice(0, rejectedShown)) {
    lines.push(`  line ${line}${column ? `, ${column}` : ''}: ${reason}${value ? ` (${value})` : ''}`);
  }
  if (report.rejected > rejectedShown) lines.push(`  … and ${count(report.rejected - rejectedShown)} more`);
  process.stdout.write(`${lines.join('\n')}\n`);
  return report.rows === 0 ? 1 : 0;
};
