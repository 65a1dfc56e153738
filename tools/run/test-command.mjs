import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pinnedNode, root } from './places.mjs';
import { runChild } from './run-child.mjs';
import { closingLine, missingRequirements, testCounts } from './test-report.mjs';

const isSet = (value) => value !== undefined && value !== '' && value !== '0' && value !== 'false';

/** Runs the tests (all, or those whose path holds one of the arguments), lists what could not run, and ends with the counts. */
export const testCommand = async (args, env = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'pca-test-run-'));
  const reportFile = join(folder, 'report.json');
  const requirementsFile = join(folder, 'requirements');
  const vitest = [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${reportFile}`,
  ];
  // The processes of the tests, hundreds, mostly load the same code: compiled once for the run.
  const ownEnv = { PCA_REQUIREMENTS_FILE: requirementsFile, NODE_COMPILE_CACHE: join(folder, 'compiled') };
  const exitCode = await runChild(pinnedNode, [...vitest, ...args], { env: { ...env, ...ownEnv } });
  const missing = existsSync(requirementsFile) ? missingRequirements(readFileSync(requirementsFile, 'utf8')) : [];
  const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, 'utf8')) : undefined;
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const everythingRequired = isSet(process.env.CI);
  if (missing.length > 0) {
    process.stdout.write(`\nNot run on this machine${everythingRequired ? ', which is a failure because CI is set' : ''}:\n`);
    for (const { name, reason } of missing) process.stdout.write(`  - ${name}: ${reason}\n`);
  }
  const counts = testCounts(report, exitCode, everythingRequired ? missing.length : 0);
  process.stdout.write(`\n${closingLine(counts)}\n`);
  return counts.failed > 0 ? 1 : 0;
};
