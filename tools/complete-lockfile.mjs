// node tools/complete-lockfile.mjs: after an `npm install` whose registry lacked packages of other platforms. npm leaves those out of the
// lockfile then, and the `npm ci` of npm 11 refuses a lockfile without them, even where they are never installed.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

/** The platform that a package such as `@nx/nx-linux-x64-musl` is for, by its name; undefined when the name says none. */
export const platformOf = (name) => {
  const match =
    /(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|ppc64|riscv64|s390x|x64)(?:-(gnu|musl|msvc|eabi)\w*)?$/.exec(name);
  if (!match) return undefined;
  const [, os, cpu, abi] = match;
  const libc = { gnu: 'glibc', musl: 'musl' }[abi];
  return { cpu: [cpu], ...(os === 'linux' && libc && { libc: [libc] }), os: [os] };
};

/** Optional packages that a locked package names and the lockfile lacks, with the entry that each should have. */
export const missingPlatforms = (packages) =>
  Object.entries(packages).flatMap(([path, { optionalDependencies = {}, dev, license }]) =>
    Object.entries(optionalDependencies).flatMap(([name, version]) => {
      if (packages[`node_modules/${name}`] || packages[`${path}/node_modules/${name}`]) return [];
      const { cpu, libc, os } = platformOf(name) ?? {};
      if (!os || !/^\d+\.\d+\.\d+/.test(version))
        throw new Error(`${path} wants ${name}@${version}, and its name does not say for which platform`);
      const entry = { version, cpu, ...(dev && { dev }), ...(libc && { libc }), ...(license && { license }), optional: true, os };
      return [[`node_modules/${name}`, entry]];
    }),
  );

const main = () => {
  const file = join(import.meta.dirname, '../package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const missing = missingPlatforms(lock.packages);
  const packages = Object.entries({ ...lock.packages, ...Object.fromEntries(missing) }).sort(([a], [b]) => a.localeCompare(b, 'en'));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`);
  console.log(`${missing.length} packages of other platforms added to package-lock.json`);
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
