/** What of our environment the server and its keeper need; the secrets of others are none of their business. */
export const keeperEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(['PATH', 'LANG', 'LC_ALL', 'TMPDIR'].map((name) => [name, process.env[name]]));
