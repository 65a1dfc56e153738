import { createHash } from 'node:crypto';
import { storable } from '../timelines/stored-text.js';
import type { Workspace } from '../workspaces/workspace.store.js';

/**
 * What stands in `tombstone` for an id that was erased: nobody gets back from it to the id without the workspace's secret. The erasure
 * computes it in SQL, of the id as it is stored.
 */
export const identityDigest = ({ ipSalt }: Pick<Workspace, 'ipSalt'>, isKnown: boolean, id: string): Buffer =>
  createHash('sha256')
    .update(ipSalt)
    .update(isKnown ? 'u' : 'a')
    .update(storable(id))
    .digest();
