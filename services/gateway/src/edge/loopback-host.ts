const loopback = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether a Host header names this machine itself. A page of a foreign name that was made to resolve to 127.0.0.1 could otherwise read the
 * pages that hold the local token.
 */
export const isLoopbackHost = (host: string | undefined, alsoAllowed: ReadonlySet<string>): boolean => {
  const name = (host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  return loopback.test(name) || alsoAllowed.has(name);
};

export const namesOf = (list: string): ReadonlySet<string> =>
  new Set(
    list
      .toLowerCase()
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  );
