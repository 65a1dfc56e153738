interface Workspace {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
}

/** The text of package-lock.json with one more workspace, as npm itself would write it. */
export const withWorkspace = (lockfile: string, folder: string, { name, version, dependencies }: Workspace): string => {
  const lock = JSON.parse(lockfile) as { packages: Record<string, unknown> };
  const packages = {
    ...lock.packages,
    [`node_modules/${name}`]: { resolved: folder, link: true },
    [folder]: { name, version, ...(dependencies && { dependencies }) },
  };
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  return `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`;
};
