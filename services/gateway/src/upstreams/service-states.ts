import type { Upstream } from './upstream.js';

export interface ServiceState {
  readonly name: string;
  readonly state: 'ready' | 'not ready' | 'down';
  /** What the service says it waits for. */
  readonly notReady: readonly string[];
}

const askMsMax = 800;
const freshMs = 1_000;

/**
 * Asks every service whether it is ready, at most once a second however many look. Not through the breaker: this is how one sees what it
 * keeps away.
 */
export class ServiceStates {
  private asked: { atMs: number; states: Promise<readonly ServiceState[]> } | undefined;

  constructor(private readonly upstreams: () => readonly Upstream[]) {}

  all(): Promise<readonly ServiceState[]> {
    const now = Date.now();
    if (!this.asked || now - this.asked.atMs > freshMs) this.asked = { atMs: now, states: Promise.all(this.upstreams().map(stateOf)) };
    return this.asked.states;
  }
}

const stateOf = async ({ name, baseUrl }: Upstream): Promise<ServiceState> => {
  try {
    const response = await fetch(new URL('/health/ready', baseUrl), { signal: AbortSignal.timeout(askMsMax) });
    const body = (await response.json()) as { notReady?: unknown };
    const notReady = Array.isArray(body.notReady) ? body.notReady.map(String).slice(0, 20) : [];
    return { name, state: response.ok ? 'ready' : 'not ready', notReady };
  } catch {
    return { name, state: 'down', notReady: [] };
  }
};
