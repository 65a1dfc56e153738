export { createDatabaseIfMissing, databaseUrl } from './databases.js';
export { EmbeddedPostgresError, type EmbeddedPostgresFault } from './embedded-postgres-error.js';
export { lockFolder, type FolderLock } from './machine/folder-lock.js';
export { freePort, isPortFree } from './machine/free-port.js';
export { isSameProcess, processIdentity, type ProcessIdentity } from './machine/process-identity.js';
export { asMyself, type Command, dieWithParent } from './machine/run-as.js';
export { writeWhole } from './machine/write-whole.js';
export { keepServer, type KeptServer, type ServerExit } from './server/kept-server.js';
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, rememberedUrl, startEmbeddedPostgres } from './start-embedded-postgres.js';
