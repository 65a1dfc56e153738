import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const skipped = new Set(['node_modules', 'dist', '.git', '.nx', '.pca', 'coverage']);
const self = 'tools/tidy.spec.ts';

const walk = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (skipped.has(entry.name) || entry.isSymbolicLink()) return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
const paths = walk('');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const readJson = <T>(path: string): T => JSON.parse(read(path)) as T;

interface Rule {
  name: string;
  /** Which files it looks at. */
  files: RegExp;
  except?: RegExp;
  /** What is wrong, with the line where there is one. */
  faults: (path: string, text: string) => string[];
  /** A file that the rule must catch. */
  broken: readonly [path: string, text: string];
}

const code = /\.(ts|mjs|cjs)$/;
const source = /^(libs|services|deploy)\/.*\/src\/.*\.ts$/;
const spec = /\.spec\.ts$/;
const generated = /^(package-lock\.json|LICENSE|docs\/(asyncapi|openapi)\.json|docs\/schema\.graphql|services\/[^/]+\/\w+\.graphql)$/;

const lines =
  (pattern: RegExp) =>
  (_path: string, text: string): string[] =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`line ${index + 1}: ${line.trim().slice(0, 100)}`] : []));

const linesMax = 400;
const widthMax = 140;

const rules: Rule[] = [
  {
    name: `a file has at most ${linesMax} lines`,
    files: code,
    faults: (_path, text) => (text.split('\n').length - 1 > linesMax ? [`${text.split('\n').length - 1} lines`] : []),
    broken: ['libs/x/src/long.ts', '\n'.repeat(linesMax + 1)],
  },
  {
    // Code is the formatter's, which breaks what can be broken; a long text in it stays whole, so that it can be searched for.
    name: `a line of a comment has at most ${widthMax} characters`,
    files: code,
    faults: lines(new RegExp(`^\\s*(//|/?\\*).{${widthMax + 1}}`, 'u')),
    broken: ['libs/x/src/wide.ts', `// ${'x'.repeat(widthMax + 1)}`],
  },
  {
    name: 'process.env is read in env.ts alone, so that every setting is checked',
    files: source,
    except: /(\/env\.ts|\.spec\.ts|^libs\/testing\/.*|^libs\/[^/]+\/test\/.*)$/,
    faults: lines(/\bprocess\.env\b/),
    broken: ['services/x/src/main.ts', `const port = process.env['PORT'];`],
  },
  {
    name: 'a folder has a name that says what is in it',
    files: /./,
    faults: (path) => (/(^|\/)(common|shared|utils?|helpers?|misc)\//.test(path) ? [dirname(path)] : []),
    broken: ['libs/x/src/utils/text.ts', ''],
  },
  {
    name: 'a lib has one index, and nothing else has any',
    files: /(^|\/)index\.ts$/,
    faults: (path) => (/^libs\/[^/]+\/src\/index\.ts$/.test(path) ? [] : [path]),
    broken: ['libs/x/src/feature/index.ts', ''],
  },
  {
    name: 'a spec says what it needs: .unit, .int, .contract or .e2e',
    files: spec,
    except: /^tools\/tidy\.spec\.ts$/,
    faults: (path) => (/\.(unit|int|contract|e2e)\.spec\.ts$/.test(path) ? [] : [path]),
    broken: ['libs/x/src/feature.spec.ts', ''],
  },
  {
    name: 'file names are kebab-case',
    files: code,
    faults: (path) => (/^[.a-z0-9-]+$/.test(basename(path)) ? [] : [path]),
    broken: ['libs/x/src/BigThing.ts', ''],
  },
  {
    name: 'nothing is left for later',
    files: /./,
    except: generated,
    faults: lines(/\b(TODO|FIXME|XXX|HACK)\b/),
    broken: ['README.md', 'TODO: write it'],
  },
  {
    name: 'no file knows the machine that it was written on',
    files: /./,
    except: generated,
    faults: lines(/(^|[\s'"`=(:])(\/(work|home|Users|root)\/[\w.]|\.\.\/shared\b)/),
    broken: ['README.md', 'cd /home/somebody'],
  },
  {
    name: 'no file names a package registry',
    files: /./,
    except: /^LICENSE$/,
    faults: lines(/:\/\/(registry|npm|pypi|repo\d*|mirrors?)\./),
    broken: ['package-lock.json', `"resolved": "https://${'registry'}.example.org/x.tgz"`],
  },
  {
    name: 'a test does not skip or single out anything',
    files: spec,
    faults: lines(/\b(it|test|describe)\.(only|skip|todo)\(/),
    broken: ['libs/x/src/a.unit.spec.ts', `it.only('x', () => {});`],
  },
  {
    name: 'no lint rule is switched off without a reason',
    files: code,
    faults: lines(/(eslint-disable|@ts-ignore|@ts-expect-error|@ts-nocheck)(?!.* -- )/),
    broken: ['libs/x/src/a.ts', '// @ts-ignore'],
  },
];

const faultsOf = (rule: Rule, path: string, text: string): string[] =>
  path === self || !rule.files.test(path) || rule.except?.test(path) ? [] : rule.faults(path, text).map((fault) => `${path}: ${fault}`);

const binary = /\.(png|ico|woff2?|gz|wav|mp3|raw)$/;

describe('the house style', () => {
  for (const rule of rules) {
    it(rule.name, () => {
      expect(faultsOf(rule, ...rule.broken), 'the rule catches its example').not.toEqual([]);
      expect(paths.filter((path) => !binary.test(path)).flatMap((path) => faultsOf(rule, path, read(path)))).toEqual([]);
    });
  }
});

interface PackageJson {
  name: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}
const workspaces = paths.filter((path) => /^(libs|services|deploy)\/[^/]+\/package\.json$/.test(path)).map(dirname);

describe('packages', () => {
  it('have exact versions, third party in the root alone', () => {
    const { dependencies = {}, devDependencies = {} } = readJson<PackageJson>('package.json');
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
    for (const folder of workspaces) {
      const own = readJson<PackageJson>(`${folder}/package.json`);
      expect(own.name, folder).toBe(`@pca/${basename(folder)}`);
      for (const name of Object.keys({ ...own.dependencies, ...own.devDependencies })) expect(name, folder).toMatch(/^@pca\//);
    }
  });

  it('are built after what they depend on: project references say the same as dependencies', () => {
    for (const folder of workspaces) {
      const { dependencies = {} } = readJson<PackageJson>(`${folder}/package.json`);
      const { references = [] } = readJson<{ references?: { path: string }[] }>(`${folder}/tsconfig.json`);
      const referenced = references.map(({ path }) => readJson<PackageJson>(`${normalize(join(folder, path))}/package.json`).name);
      expect(referenced.sort(), folder).toEqual(Object.keys(dependencies).sort());
    }
  });

  it('come from a lockfile that says the same, without the host of whoever wrote it', () => {
    type Locked = PackageJson & { resolved?: string; link?: boolean };
    const { packages } = readJson<{ packages: Record<string, Locked> }>('package-lock.json');
    for (const [path, { resolved, link }] of Object.entries(packages)) if (!link) expect(resolved, path).toBeUndefined();
    for (const folder of ['', ...workspaces]) {
      const { dependencies = {}, devDependencies = {} } = readJson<PackageJson>(join(folder, 'package.json'));
      const locked = { dependencies: {}, devDependencies: {}, ...packages[folder] };
      expect({ folder, dependencies: locked.dependencies, devDependencies: locked.devDependencies }).toEqual({
        folder,
        dependencies,
        devDependencies,
      });
    }
  });
});

describe('services', () => {
  it('have ports and databases of their own, and a README', () => {
    const services = paths.filter((path) => /^services\/[^/]+\/project\.json$/.test(path));
    const known = services.flatMap((path) => {
      const { metadata } = readJson<{ metadata?: { pca?: { port: number; database: string } } }>(path);
      return metadata?.pca ? [metadata.pca] : [];
    });
    expect(new Set(known.map(({ port }) => port)).size).toBe(known.length);
    expect(new Set(known.map(({ database }) => database)).size).toBe(known.length);
    for (const path of services) expect(existsSync(join(root, dirname(path), 'README.md')), dirname(path)).toBe(true);
  });
});

describe('the documents', () => {
  it('link to files that are there', () => {
    for (const path of paths.filter((name) => name.endsWith('.md'))) {
      for (const [, link = ''] of read(path).matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)) {
        expect(existsSync(join(root, dirname(path), link)), `${path} links to ${link}`).toBe(true);
      }
    }
  });

  it('name an example for each pattern that is there', () => {
    const table = read('CONTRIBUTING.md')
      .split('\n')
      .filter((line) => /^\| .* \| .*`[^`]+`/.test(line) && !line.includes('`npm '));
    expect(table.length).toBeGreaterThan(10);
    for (const row of table) {
      for (const [, path = ''] of (row.split('|')[2] ?? '').matchAll(/`([^`]+)`/g))
        expect(existsSync(join(root, path)), `CONTRIBUTING.md names ${path}`).toBe(true);
    }
  });
});
