const dayMs = 86_400_000;

/** How far an event may lie ahead of the server's clock: a client's clock may be set to another time zone. */
const aheadMsMax = dayMs;

/** Whether an event of that time, in ms since 1970, is taken: not older than its workspace keeps, and not of the future. */
export const isAcceptedTime = (atMs: number, retentionDays: number, nowMs: number): boolean =>
  atMs >= nowMs - retentionDays * dayMs && atMs <= nowMs + aheadMsMax;
