// Started by subgraphs.ts with the path of a service's dist/schema.js; answers over IPC, because a service logs to its standard output.
import { pathToFileURL } from 'node:url';
import process from 'node:process';

const { schema } = await import(pathToFileURL(process.argv[2]).href);
process.send({ sdl: await schema() }, () => process.exit(0));
