import { behaviourLimits } from '@pca/contracts';
import { expect, it } from 'vitest';
import { limits } from './limits.js';

// Broken by: a limit of the server that changes, and a client that refuses what would be taken or sends what would not.
it('knows the limits of the server', () => {
  expect(limits.eventBytes).toBe(behaviourLimits.eventBytes);
});
