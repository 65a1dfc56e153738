import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { type Names, namesOf } from './names.ts';
import { withWorkspace } from './lockfile.ts';

/** The name cannot be taken; the message says why. */
export class ServiceRefused extends Error {
  override readonly name = 'ServiceRefused';
}

const templates = join(import.meta.dirname, '../templates/service');
/** Ports that interface.md promises; others are handed out after them. */
const promisedPorts: Readonly<Record<string, number>> = { campaigns: 8101, analytics: 8102, voice: 8103, anomalies: 8104, chaos: 8105 };
const firstFreePort = 8106;

/** Writes services/NAME, and makes npm know it as `npm install` would, without a network. Throws ServiceRefused with nothing written. */
export const createService = async (root: string, name: string): Promise<{ port: number; files: string[] }> => {
  refuseBadName(root, name);
  const port = promisedPorts[name] ?? freePort(root);
  const names = namesOf(name, port, Date.now());
  const files = readdirSync(templates, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.tmpl'));
  const written: string[] = [];
  for (const path of files.sort()) {
    const target = join('services', name, filled(path.slice(0, -'.tmpl'.length), names));
    mkdirSync(dirname(join(root, target)), { recursive: true });
    writeFileSync(join(root, target), await formatted(target, filled(readFileSync(join(templates, path), 'utf8'), names)), { flag: 'wx' });
    written.push(target);
  }
  register(root, name);
  return { port, files: [...written, 'package-lock.json'] };
};

const refuseBadName = (root: string, name: string): void => {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 40) {
    throw new ServiceRefused('a service has a name like "widgets" or "spare-parts": npm run gen:service NAME');
  }
  const taken = ['services', 'libs', 'deploy'].map((folder) => `${folder}/${name}`).find((folder) => existsSync(join(root, folder)));
  if (taken) throw new ServiceRefused(`${taken} is there already`);
};

const freePort = (root: string): number => {
  const taken = new Set(
    readdirSync(join(root, 'services')).flatMap((service) => {
      const file = join(root, 'services', service, 'project.json');
      if (!existsSync(file)) return [];
      const { metadata } = JSON.parse(readFileSync(file, 'utf8')) as { metadata?: { pca?: { port?: number } } };
      return metadata?.pca?.port ?? [];
    }),
  );
  let port = firstFreePort;
  while (taken.has(port)) port++;
  return port;
};

const filled = (text: string, names: Names): string =>
  text.replaceAll(/__(\w+?)__/g, (mark, key: string) => {
    const value = (names as unknown as Record<string, string | undefined>)[key];
    if (value === undefined) throw new Error(`The template has an unknown mark ${mark}`);
    return value;
  });

/** Where lines break depends on how long the name is. */
const formatted = async (path: string, text: string): Promise<string> =>
  path.endsWith('.ts') ? format(text, { ...(await resolveConfig(join(import.meta.dirname, path))), filepath: path }) : text;

const register = (root: string, name: string): void => {
  const lockfile = join(root, 'package-lock.json');
  const workspace = JSON.parse(readFileSync(join(root, 'services', name, 'package.json'), 'utf8')) as Parameters<typeof withWorkspace>[2];
  writeFileSync(lockfile, withWorkspace(readFileSync(lockfile, 'utf8'), `services/${name}`, workspace));
  const link = join(root, 'node_modules/@pca', name);
  if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync(join('../../services', name), link);
};
