import { subgraphVariableOf } from '../env.js';
import { Upstream, type UpstreamOptions } from './upstream.js';

/**
 * The services behind the gateway by the name they have in the supergraph. Their URLs come from the environment, never from the supergraph
 * file.
 */
export class Upstreams {
  private readonly known = new Map<string, Upstream>();

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

  all(): readonly Upstream[] {
    return [...this.known.values()];
  }

  async close(): Promise<void> {
    await Promise.all(this.all().map((upstream) => upstream.close()));
  }
}
