import { spawnSync } from 'node:child_process';
import { buildSchema, findBreakingChanges } from 'graphql';

/** The file as it was committed last; undefined when there is no such commit. */
export const committedApi = (root: string, path: string): string | undefined => {
  const shown = spawnSync('git', ['show', `HEAD:${path}`], { cwd: root, encoding: 'utf8' });
  return shown.status === 0 ? shown.stdout : undefined;
};

/** What clients of the old graph could trip over, one sentence each. */
export const breakingChangesOf = (before: string | undefined, after: string | undefined): string[] =>
  before && after
    ? findBreakingChanges(buildSchema(before), buildSchema(after))
        .map(({ description }) => description)
        .sort()
    : [];
