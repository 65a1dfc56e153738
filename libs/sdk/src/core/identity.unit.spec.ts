import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../node/memory-store.js';
import { Identity } from './identity.js';
import { limits } from './limits.js';

describe('sessions', () => {
  // Broken by: idle time counted from the session's start, or a limit that ends it a moment early.
  it('go on for 30 minutes after each event and end after that', () => {
    const identity = new Identity(new MemoryStore());
    const first = identity.session(0, undefined).id;
    expect(identity.session(limits.sessionIdleMs, undefined).id).toBe(first);
    expect(identity.session(2 * limits.sessionIdleMs, undefined).id).toBe(first);
    const second = identity.session(3 * limits.sessionIdleMs + 1, undefined).id;
    expect(second).not.toBe(first);
    expect(identity.session(3 * limits.sessionIdleMs + 2, undefined).id).toBe(second);
  });

  // Broken by: a purchase on the third page that nobody can lead back to the advertisement.
  it('remember the campaign that led to them, and no longer than they last', () => {
    const identity = new Identity(new MemoryStore());
    const spring = { name: 'spring' };
    const summer = { name: 'summer' };
    expect([spring, undefined, summer, undefined].map((campaign, index) => identity.session(index, campaign).campaign)).toEqual([
      spring,
      spring,
      summer,
      summer,
    ]);
    expect(identity.session(limits.sessionIdleMs + 10, undefined).campaign).toBeUndefined();
  });

  // Broken by: state that another program, or an older version, wrote.
  it('begin anew where what was kept is not readable', () => {
    const store = new MemoryStore();
    store.write('session', '{"id":');
    expect(new Identity(store).session(0, undefined).id).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('persons', () => {
  // Broken by: two users of one device who become one, because they share an anonymous id.
  it('who are another user get another anonymous id and session; who only get a name keep theirs', () => {
    const identity = new Identity(new MemoryStore());
    const anonymous = identity.anonymousId;
    const session = identity.session(0, undefined).id;
    identity.become('ada');
    identity.become('ada');
    expect([identity.anonymousId, identity.session(1, undefined).id]).toEqual([anonymous, session]);
    identity.become('bob');
    expect(identity.userId).toBe('bob');
    expect(identity.anonymousId).not.toBe(anonymous);
    expect(identity.session(2, undefined).id).not.toBe(session);
    identity.reset();
    expect(identity.userId).toBeUndefined();
  });
});
