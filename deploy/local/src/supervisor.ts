import { setTimeout as sleep } from 'node:timers/promises';
import { type FolderLock, processIdentity } from '@pca/embedded-postgres';
import { type LocalIssuer } from '@pca/service-kit';
import { checkPorts } from './services/ports.js';
import { dataPaths, lockDataFolder, prepareDataFolder, writeSecret } from './data/data-folder.js';
import { type Broker, startOwnBroker, useBrokers } from './data/broker.js';
import { type DatabaseServer, startOwnDatabaseServer, useDatabaseServer } from './data/database-server.js';
import { endLeftoverProcesses } from './data/leftover-processes.js';
import { readRunFile, removeRunFile, type RunFile, type RunningServer, writeRunFile } from './data/run-file.js';
import type { LocalEnv } from './env.js';
import { type LogFile, openLogFile } from './output/log-file.js';
import type { Screen } from './output/screen.js';
import { localAuth } from './services/local-auth.js';
import { type InstanceSettings, type LocalAuth, serviceEnvironment } from './services/service-environment.js';
import { ServiceProcess } from './services/service-process.js';
import { databasesOf, portOf, type ServiceSpec } from './services/service-registry.js';
import { summary } from './summary.js';

const startMsMax = 90_000;
const drainMsMax = 10_000;
/** The part of it that belongs to those that clients talk to: they end first, so that what they still ask of the others is answered. */
const edgeDrainMsMax = 5_000;
const tokenSeconds = 24 * 3_600;

/** Runs the system on one machine: the servers, then the services, in processes of their own; everything it starts ends with it. */
export class Supervisor {
  private readonly paths;
  private readonly services: ServiceProcess[] = [];
  private readonly logs = new Map<string, LogFile>();
  private readonly startedAt = new Date();
  private lock: FolderLock | undefined;
  private database: DatabaseServer | undefined;
  private broker: Broker | undefined;
  private readonly abandoned = new AbortController();
  private auth: LocalAuth | undefined;
  private token: { text: string; workspace: string } | undefined;
  private tokenTimer: NodeJS.Timeout | undefined;
  private stopping = false;
  private stateFault = false;

  constructor(
    private readonly env: LocalEnv,
    private readonly specs: readonly ServiceSpec[],
    private readonly screen: Screen,
  ) {
    this.paths = dataPaths(env.dataDir);
  }

  get gatewayUrl(): string {
    return `http://localhost:${this.env.gatewayPort}`;
  }

  /**
   * Resolves when everything is ready, or after a minute and a half with what is. Throws when the system cannot be started at all; stop()
   * has to follow.
   */
  async start(): Promise<void> {
    const { env, screen } = this;
    prepareDataFolder(env.dataDir);
    this.lock = await lockDataFolder(env.dataDir);
    await endLeftoverProcesses(readRunFile(this.paths.run), (message) => screen.say(message));
    await checkPorts(
      this.specs.map((spec) => ({ name: spec.name, port: portOf(spec, env), variable: spec.edge ? 'PCA_PORT' : 'PCA_PORT_BASE' })),
    );
    const prepared = await Promise.allSettled(
      [this.prepareTokens(), this.startDatabase(), this.startBroker()].map((each) =>
        each.catch((error: unknown) => {
          this.abandonStart();
          throw error;
        }),
      ),
    );
    for (const each of prepared) if (each.status === 'rejected') throw each.reason;
    if (this.stopping) return;
    this.startServices();
    await this.untilReady();
    if (!this.stopping) this.showSummary();
  }

  /** Lets a start that is under way go no further than it must. */
  abandonStart(): void {
    this.stopping = true;
    this.abandoned.abort();
  }

  /** Services drain and end, those that clients talk to first; the servers that they use end last. */
  async stop(): Promise<void> {
    this.abandonStart();
    clearInterval(this.tokenTimer);
    const deadline = Date.now() + drainMsMax;
    const isEdge = new Set(this.specs.filter(({ edge }) => edge).map(({ name }) => name));
    await this.end(
      this.services.filter(({ name }) => isEdge.has(name)),
      Date.now() + edgeDrainMsMax,
    );
    await this.end(
      this.services.filter(({ name }) => !isEdge.has(name)),
      deadline,
    );
    for (const [name, server] of [
      ['kafka', this.broker],
      ['postgres', this.database],
    ] as const) {
      if (server?.embedded) this.screen.say(`stopping ${name}`);
      await server?.stop();
    }
    for (const log of this.logs.values()) log.close();
    this.logs.clear();
    if (this.lock) removeRunFile(this.paths.run);
    this.lock?.release();
  }

  /** Ends the services without waiting for what they do. */
  kill(): void {
    for (const service of this.services) service.kill();
  }

  private async prepareTokens(): Promise<void> {
    if (this.env.issuer) return;
    // Loaded late: it brings the whole of a service's frame, and a start that is refused should not wait for that.
    const { ensureLocalIssuer, localWorkspaceId } = await import('@pca/service-kit');
    const issuer = await ensureLocalIssuer(this.paths.auth);
    this.auth = await localAuth(issuer, this.paths);
    await this.renewToken(issuer, localWorkspaceId);
    const renew = (): void => {
      this.renewToken(issuer, localWorkspaceId).catch((error: unknown) => {
        this.screen.say(`the token in ${this.paths.token} could not be renewed: ${String(error)}`, 'error');
      });
    };
    this.tokenTimer = setInterval(renew, (tokenSeconds * 1000) / 2);
  }

  private async renewToken(issuer: LocalIssuer, workspace: string): Promise<void> {
    this.token = { workspace, text: await issuer.issue({ role: 'admin', workspace, ttlSeconds: tokenSeconds }) };
    writeSecret(this.paths.token, `${this.token.text}\n`);
  }

  private async startDatabase(): Promise<void> {
    const { env, screen } = this;
    const log = this.logOf('postgres');
    const options = {
      databases: databasesOf(this.specs),
      onLine: (line: string) => {
        log.append(line);
        if (/\b(FATAL|PANIC):/.test(line)) screen.program('postgres', line);
      },
      onNews: (message: string, level: 'info' | 'warn') => screen.say(message, level),
      onChange: () => this.writeState(),
    };
    screen.say(env.databaseUrl ? 'using the Postgres server of DATABASE_URL' : 'starting postgres');
    this.database = await (env.databaseUrl
      ? useDatabaseServer(env.databaseUrl, options)
      : startOwnDatabaseServer(this.paths.postgres, options));
    screen.say(this.database.port === undefined ? 'postgres is ready' : `postgres is ready on 127.0.0.1:${this.database.port}`);
  }

  private async startBroker(): Promise<void> {
    const { env, screen } = this;
    if (env.bus !== 'kafka') return;
    if (env.kafkaBrokers !== undefined) {
      screen.say('using the Kafka brokers of KAFKA_BROKERS');
      this.broker = useBrokers(env.kafkaBrokers);
      return;
    }
    const log = this.logOf('kafka');
    screen.say('starting kafka');
    try {
      this.broker = await startOwnBroker(this.paths.kafka, {
        onLine: (line) => {
          log.append(line);
          if (/ (ERROR|FATAL) /.test(line)) screen.program('kafka', line);
        },
        onNews: (message, level) => screen.say(message, level),
        onChange: () => this.writeState(),
        signal: this.abandoned.signal,
      });
      screen.say(`kafka is ready on ${this.broker.brokers}`);
    } catch (error) {
      if (!this.stopping) throw error;
    }
  }

  private settings(database: DatabaseServer): InstanceSettings {
    const { gatewayPort, portBase, given, issuer } = this.env;
    const auth = issuer ?? this.auth;
    if (!auth) throw new Error('The issuer is prepared before any service is started');
    return {
      gatewayPort,
      portBase,
      given,
      databaseUrl: (name) => database.url(name),
      auth,
      ...(this.broker && { kafkaBrokers: this.broker.brokers }),
    };
  }

  private startServices(): void {
    const { database, specs, screen } = this;
    if (!database) throw new Error('The databases are started before any service is');
    const settings = this.settings(database);
    for (const spec of specs) {
      const log = this.logOf(spec.name);
      this.services.push(
        new ServiceProcess({
          name: spec.name,
          main: spec.main,
          nodeFlags: spec.nodeFlags,
          url: `http://127.0.0.1:${portOf(spec, settings)}`,
          env: serviceEnvironment(spec, specs, settings),
          onLine: (line) => {
            log.append(line);
            screen.program(spec.name, line);
          },
          onNews: (message, level) => screen.say(message, level),
          onChange: () => this.writeState(),
        }),
      );
    }
    screen.say(`starting ${specs.map(({ name }) => name).join(', ')}`);
    for (const service of this.services) service.start();
  }

  private async untilReady(): Promise<void> {
    const waiting = (): string[] => this.services.filter(({ state }) => state !== 'ready').map(({ name, state }) => `${name} (${state})`);
    const since = Date.now();
    for (let said = since; waiting().length > 0 && !this.stopping && Date.now() - since < startMsMax; await sleep(20)) {
      if (Date.now() - said < 5_000) continue;
      said = Date.now();
      this.screen.say(`${Math.round((said - since) / 1000)} s: waiting for ${waiting().join(', ')}`);
    }
  }

  private showSummary(): void {
    const { lines, fields } = summary({
      seconds: (Date.now() - this.startedAt.getTime()) / 1000,
      gatewayUrl: this.gatewayUrl,
      hasEdge: this.specs.some(({ edge }) => edge),
      services: [...this.services].reverse(),
      database: this.database,
      broker: this.broker,
      token: this.token,
      paths: { data: this.env.dataDir, logs: this.paths.logs, token: this.paths.token },
    });
    this.screen.block(lines, fields);
  }

  private async end(services: readonly ServiceProcess[], deadline: number): Promise<void> {
    if (services.length === 0) return;
    this.screen.say(`stopping ${services.map(({ name }) => name).join(', ')}`);
    const timer = setTimeout(
      () => {
        for (const service of services.filter(({ state }) => state === 'stopping')) {
          this.screen.say(`${service.name} did not end in time and is killed`, 'warn');
          service.kill();
        }
      },
      Math.max(0, deadline - Date.now()),
    );
    await Promise.all(services.map((service) => service.stop()));
    clearTimeout(timer);
  }

  private logOf(name: string): LogFile {
    const log = openLogFile(`${this.paths.logs}/${name}.log`, (error) =>
      this.screen.say(`the log of ${name} cannot be written: ${String(error)}`, 'error'),
    );
    this.logs.set(name, log);
    return log;
  }

  private writeState(): void {
    const { database } = this;
    const companions = this.services.flatMap(({ identity }) => (identity ? [identity] : []));
    for (const server of [this.broker, database]) server?.setCompanions(companions);
    if (!database || !this.lock) return;
    try {
      writeRunFile(this.paths.run, this.runFile(database));
      this.stateFault = false;
    } catch (error) {
      // A full disk must not take the system down with it; it is said once.
      if (!this.stateFault) this.screen.say(`${this.paths.run} cannot be written: ${String(error)}`, 'error');
      this.stateFault = true;
    }
  }

  private runFile(database: DatabaseServer): RunFile {
    const shown = ({ embedded, state, port }: RunningServer): RunningServer => ({
      embedded,
      state,
      ...(port === undefined ? {} : { port }),
    });
    return {
      pid: process.pid,
      started: processIdentity(process.pid)?.started ?? '',
      startedAt: this.startedAt.toISOString(),
      gatewayUrl: this.gatewayUrl,
      postgres: shown(database),
      ...(this.broker && { kafka: shown(this.broker) }),
      services: this.services.map(({ name, url, state: current, restarts, identity }) => ({
        name,
        url,
        state: current,
        restarts,
        ...(identity && { process: identity }),
      })),
    };
  }
}
