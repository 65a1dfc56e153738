/** A failure that is told in one line, without a stack trace. */
export class SetupFailed extends Error {}
