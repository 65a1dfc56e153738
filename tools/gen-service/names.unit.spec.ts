import { describe, expect, it } from 'vitest';
import { namesOf } from './names.ts';

describe('namesOf', () => {
  it('turns a name into what code, graph and database call it', () => {
    expect(namesOf('spare-parts2', 8107, 1)).toMatchObject({
      Name: 'SpareParts2',
      camel: 'spareParts2',
      table: 'spare_parts2',
      port: '8107',
      timestamp: '1',
    });
  });

  it('opens a service to its own scopes where there are any, else to owners', () => {
    expect(namesOf('anomalies', 1, 1)).toMatchObject({ readScope: 'anomalies:read', writeScope: 'anomalies:write' });
    expect(namesOf('chaos', 1, 1)).toMatchObject({ readScope: 'chaos:read', writeScope: 'chaos:run' });
    expect(namesOf('voice', 1, 1)).toMatchObject({ readScope: 'voice:use', writeScope: 'voice:use' });
    expect(namesOf('analytics', 1, 1)).toMatchObject({ readScope: 'analytics:read', writeScope: 'analytics:write' });
    expect(namesOf('widgets', 1, 1)).toMatchObject({ readScope: 'workspace:admin', writeScope: 'workspace:admin' });
  });
});
