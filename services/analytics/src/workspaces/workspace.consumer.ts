import { workspaceUpdated } from '@pca/contracts';
import { type ConsumerDefinition, on } from '@pca/service-kit';
import type { WorkspaceStore } from './workspace.store.js';

/** Keeps the settings of workspaces, which campaigns owns, as a projection. */
export const workspaceConsumer = (workspaces: WorkspaceStore): ConsumerDefinition => ({
  group: 'analytics.workspaces',
  on: [
    on(workspaceUpdated, async (events) => {
      for (const { envelope } of events) await workspaces.apply(envelope.payload.workspace);
    }),
  ],
  // The next announcement of a workspace overwrites its row, and codes stand on its number: there is nothing to empty.
  reset: () => Promise.resolve(),
});
