/** A further way into the broker, on 127.0.0.1. */
export interface KafkaListener {
  /** Capital letters and digits; settings for it start with `listener.name.<name in small letters>.`. */
  readonly name: string;
  readonly port: number;
  /** The port that clients are told; absent: the same. For a proxy in between. */
  readonly advertisedPort?: number;
  readonly protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
}

export interface ServerPropertiesInput {
  readonly logDir: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly listeners: readonly KafkaListener[];
  /** Over our own. */
  readonly settings: Readonly<Record<string, string>>;
}

const join = (values: readonly string[]): string => values.join(',');

/** One node that is broker and controller, for a machine that does other things too. */
const ownSettings = ({ logDir, port, controllerPort, listeners }: ServerPropertiesInput): Record<string, string> => {
  const all: KafkaListener[] = [{ name: 'PLAINTEXT', port, protocol: 'PLAINTEXT' }, ...listeners];
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: join([...all.map(({ name, port: at }) => `${name}://127.0.0.1:${at}`), `CONTROLLER://127.0.0.1:${controllerPort}`]),
    'advertised.listeners': join(all.map(({ name, port: at, advertisedPort }) => `${name}://127.0.0.1:${advertisedPort ?? at}`)),
    'listener.security.protocol.map': join([...all.map(({ name, protocol }) => `${name}:${protocol}`), 'CONTROLLER:PLAINTEXT']),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': logDir,
    'num.partitions': '1',
    'default.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A topic comes from the event catalogue, with its partitions; one that a typing error makes would swallow events.
    'auto.create.topics.enable': 'false',
    'num.network.threads': '1',
    'num.io.threads': '2',
    'background.threads': '2',
    'log.cleaner.dedupe.buffer.size': '2097152',
    // A broker that was killed may come back after this long, not after 9 s.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
  };
};

/** The file is read as Latin-1, with a backslash as the sign of escape. */
const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The text of server.properties. */
export const serverProperties = (input: ServerPropertiesInput): string =>
  Object.entries({ ...ownSettings(input), ...input.settings })
    .map(([name, value]) => `${name}=${escaped(value)}\n`)
    .join('');

/** Warnings, with the top of their stacks, and the one line that tells that the broker is ready. */
export const logProperties = `status = error
appender.out.type = Console
appender.out.name = STDOUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601}{UTC} %p %c{1} %m%n%ex{12}
rootLogger.level = warn
rootLogger.appenderRef.out.ref = STDOUT
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
`;
