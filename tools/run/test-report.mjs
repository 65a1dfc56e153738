/**
 * What came of a test run, from vitest's JSON report (undefined when it wrote none), its exit code, and the names of what was required and
 * missing. A file that does not even load counts as one failure, and so does a run that failed for no test's sake.
 */
export const testCounts = (report, exitCode, missingRequired) => {
  const files = report?.testResults ?? [];
  const notLoaded = files.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const passed = report?.numPassedTests ?? 0;
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  const failed = (report?.numFailedTests ?? 0) + notLoaded.length + missingRequired;
  return { passed, skipped, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
};

/** The closing line that machines read. */
export const closingLine = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

/** What could not run here, once per name; `text` has a JSON object a line, as `requires` of @pca/testing writes it. */
export const missingRequirements = (text) => {
  const entries = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return [...new Map(entries.map((entry) => [entry.name, entry])).values()].sort((one, other) => one.name.localeCompare(other.name));
};
