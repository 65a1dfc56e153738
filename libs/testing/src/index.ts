export { type PrivatePostgres, startPrivatePostgres, type TestDatabase, type TestPostgres, testPostgres } from './postgres.js';
