import { subgraphVariableOf } from '../env.js';
import { Upstream, type UpstreamOptions } from './upstream.js';

/**
 * The services behind the gateway by the name they have in the supergraph. Their URLs come from the environment, never from the supergraph
 * file.
 */
export class Upstreams {
  private readonly known = new Map<string, Upstream>();
  private readonly apart: Upstream[] = [];

  constructor(
    private readonly urls: ReadonlyMap<string, URL>,
    private readonly options: UpstreamOptions,
  ) {}

  /** Throws when the environment does not say where the service is. */
  of(name: string): Upstream {
    const known = this.known.get(name);
    if (known) return known;
    const variable = subgraphVariableOf(name);
    const url = this.urls.get(variable);
    if (!url) throw new Error(`${variable} is not set, and the service ${name} is needed`);
    const upstream = new Upstream(name, url, this.options);
    this.known.set(name, upstream);
    return upstream;
  }

  /** Whether the environment says where the service is. */
  knows(name: string): boolean {
    return this.urls.has(subgraphVariableOf(name));
  }

  /**
   * The same service under another name, with connections and a breaker of its own: what goes there neither waits for what goes the usual
   * way nor holds it up.
   */
  apartFrom(name: string, as: string): Upstream {
    const upstream = new Upstream(as, this.of(name).baseUrl, this.options);
    this.apart.push(upstream);
    return upstream;
  }

  all(): readonly Upstream[] {
    return [...this.known.values()];
  }

  async close(): Promise<void> {
    await Promise.all([...this.all(), ...this.apart].map((upstream) => upstream.close()));
  }
}
