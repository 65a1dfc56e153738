import { appendFileSync } from 'node:fs';

/**
 * Declares that specs need something of the machine, and answers whether it is there: `describe.skipIf(!requires('Kafka', hasJava, 'no
 * Java'))`. What is not there is listed by name with its reason at the end of `npm test`, and is a failure with CI=true.
 */
export const requires = (name: string, available: boolean, reason: string): boolean => {
  const file = process.env['PCA_REQUIREMENTS_FILE'];
  if (!available && file) appendFileSync(file, `${JSON.stringify({ name, reason })}\n`);
  return available;
};
