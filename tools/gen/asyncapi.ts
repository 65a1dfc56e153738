import { bulkTopics, envelopeSchema, type EventDefinition } from '@pca/contracts';
import { z } from 'zod';

type Json = Record<string, unknown>;

/** AsyncAPI 3.0 of the bus: a channel for each topic, a message for each event type. */
export const asyncapiOf = (version: string, definitions: readonly EventDefinition[]): Json => {
  const sorted = [...definitions].sort((a, b) => (a.type < b.type ? -1 : 1));
  const topics = [...new Set(sorted.map(({ topic }) => topic))].sort();
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'PCA Agent events',
      version,
      license: { name: 'Apache-2.0' },
      description:
        'Events on the bus. Delivery is at least once, so consumers deduplicate by envelope id; messages of one topic and key keep their order. ' +
        'What does not parse goes to <topic>.dead-letters with its reason.',
    },
    defaultContentType: 'application/json',
    servers,
    channels: Object.fromEntries(topics.map((topic) => topicChannel(topic, sorted))),
    operations: Object.fromEntries(topics.flatMap((topic) => operationsOf(topic, sorted))),
    components: {
      messages: Object.fromEntries(sorted.map((definition) => [definition.type, messageOf(definition)])),
      schemas: { envelope: jsonSchemaOf(envelopeSchema) },
    },
  };
};

/** How a program that is not ours gets onto the bus, whichever engine it runs on. */
const servers: Json = {
  kafka: {
    host: '{brokers}',
    protocol: 'kafka',
    description:
      'BUS=kafka. Key: the partition key in UTF-8, partitioned by murmur2 as Kafka does by default. Value: the envelope as JSON. ' +
      'Headers: `traceparent` (W3C), and `pca-consumer-group` on a redriven message, which other groups pass over.',
    variables: { brokers: { description: 'KAFKA_BROKERS' } },
  },
  postgres: {
    host: '{host}',
    pathname: '/bus',
    protocol: 'postgres',
    description:
      'BUS=postgres. `select bus.publish(topic, key, envelope)` publishes; it is durable when its transaction is, which is to be short. `select * from bus.read(topic, ' +
      "partition, from_offset, messages_max)` reads; positions are the reader's own to keep, and what has a `consumer_group` is for that group alone. Of the bulk topic `" +
      `${[...bulkTopics].join('`, `')}\`, of which \`bus.read\` fails as soon as it meets a compressed row, \`bus.read_rows\` gives the rows that hold the messages, whole, so that the first may begin before the offset: ` +
      '`first_offset`, `n` and `data`, which is n lines of JSON with key and envelope; ' +
      'where it begins with a zero byte, that and four bytes of size stand before a zstd frame of the lines. `listen bus` tells the topic of each append.',
    variables: { host: { description: 'The server of BUS_URL' } },
  },
};

/** Names what `$ref` can point at: braces of a parameter have no place in a JSON pointer. */
export const channelIdOf = (topic: string): string => topic.replaceAll(/[{}]/g, '');

const parametersOf = (topic: string): Json => {
  const names = [...topic.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return names.length === 0
    ? {}
    : { parameters: Object.fromEntries(names.map((name) => [name, { description: `Any ${name} of the bus` }])) };
};

const topicChannel = (topic: string, definitions: readonly EventDefinition[]): [string, Json] => [
  channelIdOf(topic),
  {
    address: topic,
    ...parametersOf(topic),
    messages: Object.fromEntries(of(topic, definitions).map(({ type }) => [type, { $ref: `#/components/messages/${type}` }])),
  },
];

const operationsOf = (topic: string, definitions: readonly EventDefinition[]): [string, Json][] => {
  const producers = [...new Set(of(topic, definitions).map(({ producer }) => producer))].sort();
  return producers.map((producer) => [
    `${producer}-to-${channelIdOf(topic)}`,
    {
      action: 'send',
      summary: `${producer} publishes to ${topic}`,
      channel: { $ref: `#/channels/${channelIdOf(topic)}` },
      messages: of(topic, definitions)
        .filter((definition) => definition.producer === producer)
        .map(({ type }) => ({ $ref: `#/channels/${channelIdOf(topic)}/messages/${type}` })),
    },
  ]);
};

const messageOf = (definition: EventDefinition): Json => ({
  name: definition.type,
  summary: definition.description,
  payload: {
    allOf: [
      { $ref: '#/components/schemas/envelope' },
      {
        type: 'object',
        properties: {
          type: { const: definition.type },
          version: { const: definition.version },
          payload: jsonSchemaOf(definition.schema),
        },
      },
    ],
  },
  bindings: { kafka: { key: { type: 'string', description: `Keeps the order of ${keyTemplateOf(definition)}` } } },
});

const of = (topic: string, definitions: readonly EventDefinition[]): EventDefinition[] =>
  definitions.filter((definition) => definition.topic === topic);

/** AsyncAPI reads schemas as JSON Schema draft 7; `input`, because what a publisher sends may hold more than a consumer reads. */
const jsonSchemaOf = (schema: z.ZodType): Json => {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
  return rest;
};

/**
 * The key of an event as a template such as `{campaign.id}`: the key function is run on a payload whose every field prints its own path.
 */
export const keyTemplateOf = ({ key }: Pick<EventDefinition, 'key'>): string => String(key(namesOfFields(''), '{workspaceId}'));

const namesOfFields = (path: string): never =>
  new Proxy(
    {},
    {
      get: (_target, name) =>
        typeof name === 'symbol' || name === 'toString' ? () => `{${path}}` : namesOfFields(path === '' ? name : `${path}.${name}`),
    },
  ) as never;
