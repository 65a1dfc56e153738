export { errorCatalogue, isErrorCode, type ErrorCode } from './catalogue.js';
export { DomainError, isDomainError, type ErrorDetails } from './domain-error.js';
export { problemContentType, problemOf, toProblem, type Problem } from './problem.js';
