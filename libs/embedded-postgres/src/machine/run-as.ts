import { execFile, execFileSync } from 'node:child_process';
import { chownSync, lchownSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedPostgresError } from '../embedded-postgres-error.js';

const run = promisify(execFile);

/** A command and the user it is spawned as. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

/** A way to run a program as somebody who is not root. */
export interface RunAs {
  readonly name: string;
  /** Who has to own the files; undefined when they are as they should be. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  command(file: string, args: readonly string[]): Command;
}

interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const users = (): User[] =>
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0);

export const asMyself: RunAs = { name: 'the same user', command: (file, args) => ({ file, args }) };

/**
 * Root outside and somebody else inside: in a user namespace the files of root stay reachable, wherever they are, while Postgres sees a
 * user that is not root. The user inside must be one that the system knows, because initdb asks for the name.
 */
const inUserNamespace = ({ uid, gid }: User): RunAs => ({
  name: 'a user namespace',
  owner: { uid: 0, gid: 0 },
  command: (file, args) => ({ file: 'unshare', args: ['--user', `--map-user=${uid}`, `--map-group=${gid}`, '--', file, ...args] }),
});

const asUser = ({ name, uid, gid }: User): RunAs => ({
  name: `user ${name}`,
  owner: { uid, gid },
  command: (file, args) => ({ file, args, uid, gid }),
});

/** As another user who may still pass through folders that are closed to all but root: for containers, where namespaces are not allowed. */
const asUserWhoReachesAll = ({ name, uid, gid }: User): RunAs => ({
  name: `user ${name} with access to root's files`,
  owner: { uid, gid },
  command: (file, args) => ({
    file: 'setpriv',
    args: [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      '--',
      file,
      ...args,
    ],
  }),
});

const createPostgresUser = (): void => {
  for (const [file, args] of [
    ['useradd', ['--system', '--no-create-home', '--user-group', 'postgres']],
    ['adduser', ['-S', '-D', '-H', 'postgres']],
  ] as const) {
    try {
      execFileSync(file, args, { stdio: 'ignore' });
      return;
    } catch {
      // The next tool may be there; without any, the search below goes on with the users that exist.
    }
  }
};

/** Whether a way is open here: the namespace allowed, the program reachable, the folder too. */
const works = async (way: RunAs, program: string, folder: string): Promise<boolean> => {
  const script = 'test "$(id -u)" != 0 && "$0" --version && cd "$1"';
  const { file, args, uid, gid } = way.command('sh', ['-c', script, program, folder]);
  return run(file, [...args], { cwd: '/', ...(uid === undefined ? {} : { uid, gid }) }).then(
    () => true,
    () => false,
  );
};

/** The ways for root, best first; the namespace comes first because it needs no second user and no open folder. */
const waysForRoot = function* (): Generator<RunAs> {
  const somebody = users().find(({ name }) => name === 'nobody') ?? users()[0];
  if (process.platform === 'linux' && somebody) yield inUserNamespace(somebody);
  if (!users().some(({ name }) => name === 'postgres')) createPostgresUser();
  const postgres = users().find(({ name }) => name === 'postgres') ?? somebody;
  if (!postgres) return;
  yield asUser(postgres);
  yield asUserWhoReachesAll(postgres);
};

/** How to run `program` on files below `folder`; Postgres refuses to run as root, so root needs one of the ways above. */
export const chooseRunAs = async (program: string, folder: string): Promise<RunAs> => {
  if (process.getuid?.() !== 0) return asMyself;
  for (const way of waysForRoot()) if (await works(way, program, folder)) return way;
  throw new EmbeddedPostgresError(
    'NOT_RUNNABLE_AS_ROOT',
    `Postgres does not run as root, and user postgres cannot reach ${folder} or ${program}: ` +
      'start as another user, open these folders (chmod a+x), or set DATABASE_URL to a Postgres server',
  );
};

/** Gives a folder and all in it to whom the server runs as: an earlier start may have found another way than this one. */
export const alignOwner = (folder: string, { owner }: RunAs): void => {
  if (!owner) return;
  const give = (path: string): void => {
    const { uid, gid } = lstatSync(path);
    if (uid !== owner.uid || gid !== owner.gid) lchownSync(path, owner.uid, owner.gid);
  };
  for (const entry of readdirSync(folder, { recursive: true })) give(join(folder, String(entry)));
  chownSync(folder, owner.uid, owner.gid);
};

/** The command, with the kernel ending it by `signal` when its parent is gone, where the system can do that. */
export const dieWithParent = async (way: RunAs, signal: 'INT' | 'KILL', file: string, args: readonly string[]): Promise<Command> => {
  const canDie = await run('setpriv', ['--pdeathsig=INT', '--', 'true']).then(
    () => true,
    () => false,
  );
  return canDie ? way.command('setpriv', [`--pdeathsig=${signal}`, '--', file, ...args]) : way.command(file, args);
};
