import { scopes } from '@pca/contracts';

/** What the marks of the templates stand for: `__name__` and so on. */
export interface Names {
  name: string;
  /** As a class. */
  Name: string;
  /** As a variable or a field of the graph. */
  camel: string;
  /** As a database. */
  table: string;
  port: string;
  /** Of the first migration, milliseconds. */
  timestamp: string;
  readScope: string;
  writeScope: string;
}

export const namesOf = (name: string, port: number, timestampMs: number): Names => {
  const pascal = name.replaceAll(/(^|-)([a-z0-9])/g, (_all, _dash, letter: string) => letter.toUpperCase());
  return {
    name,
    Name: pascal,
    camel: pascal.charAt(0).toLowerCase() + pascal.slice(1),
    table: name.replaceAll('-', '_'),
    port: String(port),
    timestamp: String(timestampMs),
    readScope: scopeOf(name, ['read', 'use']),
    writeScope: scopeOf(name, ['write', 'run', 'use']),
  };
};

/** The service's own scope where the catalogue has one, else the narrowest there is: nothing is open by oversight. */
const scopeOf = (name: string, rights: readonly string[]): string => {
  const known: readonly string[] = scopes;
  return rights.map((right) => `${name}:${right}`).find((scope) => known.includes(scope)) ?? 'workspace:admin';
};
