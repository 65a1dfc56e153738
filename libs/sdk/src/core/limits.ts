/** What the server takes, and what the client keeps. Bytes are those of UTF-8. */
export const limits = {
  /** One event as JSON. */
  eventBytes: 32_768,
  batchEvents: 100,
  batchBytes: 500_000,
  /** Of all requests that may outlive their page: browsers stop at 64 KiB. */
  beaconBytes: 60_000,
  /** Time after which the server may have forgotten a messageId (30 days), less a margin: sent later, an event could count twice. */
  eventAgeMs: 28 * 86_400_000,
  sessionIdleMs: 30 * 60_000,
  retryFirstMs: 1_000,
  retryLastMs: 60_000,
  /** Longest wait that a server can ask for. */
  retryAfterMs: 3_600_000,
} as const;
