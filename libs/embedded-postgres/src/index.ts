export { createDatabaseIfMissing, databaseUrl } from './databases.js';
export { EmbeddedPostgresError, type EmbeddedPostgresFault } from './embedded-postgres-error.js';
export { lockFolder, type FolderLock } from './machine/folder-lock.js';
export { isSameProcess, processIdentity, type ProcessIdentity } from './machine/process-identity.js';
export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  type PostgresExit,
  startEmbeddedPostgres,
} from './start-embedded-postgres.js';
