import { createInterface } from 'node:readline/promises';
import { OperatorError } from '../operator-error.js';

/** Asks the person at the terminal; without one throws OperatorError, which names the option that spares the question. */
export const confirm = async (consequence: string, question: string, usage: string): Promise<boolean> => {
  if (!process.stdin.isTTY) throw new OperatorError(`${consequence}: add --yes to do it without a question. Usage: ${usage}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
};
