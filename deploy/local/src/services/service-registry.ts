import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../operator-error.js';

/** What a service's project.json says under metadata.pca; the supervisor and the generators know services from there alone. */
const metadataSchema = z.object({
  /** Where it listens with the default PCA_PORT_BASE of 8100; its distance from there is what counts. */
  port: z.int().min(1).max(65_535),
  /** Its own database; absent: it has none. */
  database: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,62}$/)
    .optional(),
  /** It is on the bus although it has no database; one that has is on it anyway. */
  bus: z.boolean().default(false),
  /** It has a schema in the federated graph. */
  subgraph: z.boolean().default(false),
  /** It is what clients talk to: it gets PCA_PORT and the addresses of the others, starts last and stops first. */
  edge: z.boolean().default(false),
  /** Further environment variables that it is given when they are set; a star at either end stands for anything. */
  env: z.array(z.string()).default([]),
  /** Flags of node's that it runs with, after those that all have. */
  nodeFlags: z.array(z.string().startsWith('--')).default([]),
});

export interface ServiceSpec extends z.infer<typeof metadataSchema> {
  readonly name: string;
  /** The program that Node runs. */
  readonly main: string;
}

const projectSchema = z.object({ metadata: z.object({ pca: metadataSchema.optional() }).optional() });

/**
 * Every service below a folder, those that clients talk to last. Throws OperatorError when a service is described wrongly or is not built.
 */
export const readServices = (folder: string): ServiceSpec[] => {
  const specs = readdirSync(folder)
    .sort()
    .flatMap((name): ServiceSpec[] => {
      const project = join(folder, name, 'project.json');
      if (!existsSync(project)) return [];
      const parsed = projectSchema.safeParse(JSON.parse(readFileSync(project, 'utf8')));
      if (!parsed.success) {
        const [issue] = parsed.error.issues;
        throw new OperatorError(`${project}: ${issue?.path.join('.')}: ${issue?.message}`);
      }
      const metadata = parsed.data.metadata?.pca;
      if (!metadata) return [];
      const main = join(folder, name, 'dist', 'main.js');
      if (!existsSync(main)) throw new OperatorError(`Service ${name} is not built (${main} is missing): run npm start, which builds`);
      return [{ name, main, ...metadata }];
    });
  if (specs.length === 0) throw new OperatorError(`There is no service in ${folder}`);
  return specs.sort((one, other) => Number(one.edge) - Number(other.edge));
};

export const isOnBus = ({ database, bus }: ServiceSpec): boolean => bus || database !== undefined;

/** The database names that the services and the bus between them need. */
export const databasesOf = (specs: readonly ServiceSpec[]): string[] => [
  ...new Set([...specs.flatMap(({ database }) => (database === undefined ? [] : [database])), busDatabase]),
];

export const busDatabase = 'bus';
const documentedPortBase = 8100;

/** The port of a service in this instance. */
export const portOf = (spec: ServiceSpec, ports: { readonly gatewayPort: number; readonly portBase: number }): number =>
  spec.edge ? ports.gatewayPort : ports.portBase + spec.port - documentedPortBase;
