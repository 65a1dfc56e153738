import { createServer } from 'node:net';
import { OperatorError } from '../operator-error.js';

export interface WantedPort {
  readonly name: string;
  readonly port: number;
  /** The variable that moves it. */
  readonly variable: string;
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });

/** Throws OperatorError with every port that is taken or wanted twice. */
export const checkPorts = async (wanted: readonly WantedPort[]): Promise<void> => {
  const twice = wanted.find(({ port }, index) => wanted.findIndex((other) => other.port === port) !== index);
  if (twice) throw new OperatorError(`Port ${twice.port} is wanted by two services: set PCA_PORT or PCA_PORT_BASE so that they differ`);
  const beyond = wanted.find(({ port }) => port < 1 || port > 65_535);
  if (beyond) throw new OperatorError(`Port ${beyond.port} of ${beyond.name} does not exist: set ${beyond.variable} lower`);
  const free = await Promise.all(wanted.map(({ port }) => isFree(port)));
  const taken = wanted.filter((_, index) => !free[index]);
  if (taken.length === 0) return;
  const list = taken.map(({ name, port }) => `${port} (${name})`).join(', ');
  const variables = [...new Set(taken.map(({ variable }) => variable))].join(' and ');
  throw new OperatorError(
    `${taken.length === 1 ? 'Port' : 'Ports'} ${list} already in use on 127.0.0.1: stop the program that listens there, or set ${variables}`,
  );
};
