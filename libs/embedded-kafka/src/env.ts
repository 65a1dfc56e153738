import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

export const javaHome = (): string | undefined => process.env['JAVA_HOME'] || undefined;

export const searchPath = (): string => process.env['PATH'] ?? '';

/** Where programs of this user keep what they can get again. */
export const cacheHome = (): string => {
  const wanted = process.env['XDG_CACHE_HOME'] ?? '';
  // By the XDG specification a relative path counts as none.
  return isAbsolute(wanted) ? wanted : join(homedir(), '.cache');
};

/**
 * Maven's environment: all of ours, because the user's settings may name any part of it, with the Java that was found, and a locale in
 * which it can read every path.
 */
export const mavenEnv = (home: string | undefined): NodeJS.ProcessEnv => {
  const { JAVA_HOME: _other, ...env } = process.env;
  return { ...env, LC_ALL: 'C.UTF-8', ...(home === undefined ? {} : { JAVA_HOME: home }) };
};
