// A program that is not ours: it has the AsyncAPI document, the address of the bus, and a client of its own for the engine. It publishes an
// event, then prints each event of the channel that fits the document.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';

const [, , engine, address, documentPath, type, key] = process.argv;
const document = JSON.parse(readFileSync(documentPath, 'utf8'));
const [channel] = Object.values(document.channels).filter(({ messages }) => type in messages);
const validate = new Ajv({ strict: false, validateFormats: false }).compile({
  ...document.components.messages[type].payload,
  components: document.components,
});

const now = new Date().toISOString();
const envelope = {
  id: randomUUID(),
  type,
  version: 1,
  workspaceId: 'guest',
  occurredAt: now,
  receivedAt: now,
  producer: 'guest',
  correlationId: randomUUID(),
  causationId: null,
  traceparent: null,
  payload: { campaignId: key, version: 7, actor: 'guest "with" ünïcode\n' },
};
if (!validate(envelope)) throw new Error(JSON.stringify(validate.errors));

const print = (from, value) => {
  if (validate(value)) process.stdout.write(`${JSON.stringify({ from, id: value.id, version: value.payload.version })}\n`);
};

const { publish, consume } = await import(`./${engine}-guest.mjs`).then(({ connect }) => connect(address));
await publish(channel.address, key, envelope);
await consume(channel.address, print);
