import tseslint from 'typescript-eslint';

/**
 * Rules that a reader of the code would otherwise have to hold in the head; boundaries are dependency-cruiser's, names and sizes are
 * tools/tidy.spec.ts's.
 */
const house = {
  'no-restricted-syntax': [
    'error',
    { selector: 'ExportDefaultDeclaration', message: 'Named exports only: a name should be the same wherever it is imported.' },
    { selector: 'ExportAllDeclaration', message: 'Name what is exported, so that an index shows the whole surface.' },
    { selector: 'TSEnumDeclaration', message: 'Use a union of literals or a const object.' },
  ],
  'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
  'no-console': 'error',
  'no-eval': 'error',
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'prefer-const': ['error', { ignoreReadBeforeAssign: true }],
  'object-shorthand': 'error',
  'no-var': 'error',
};

const typed = {
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false }],
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
  '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
  '@typescript-eslint/prefer-promise-reject-errors': 'error',
};

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.nx/**', '.pca/**', 'coverage/**', 'tools/templates/**'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: ['./tsconfig.spec.json', './libs/sdk/tsconfig.spec.json'], tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: { ...house, ...typed },
  },
  { files: ['**/*.mjs'], rules: house },
  // Suites are functions of any length, a test may know that a thing is there, and it prints the seed of its random input.
  {
    files: ['**/*.spec.ts', '**/test/**/*.ts', '**/*.contract.ts'],
    rules: { 'max-lines-per-function': 'off', 'no-console': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  // Programs for a terminal.
  { files: ['tools/**', 'bench/**', 'deploy/local/**'], rules: { 'no-console': 'off' } },
  // What these tools read must be a default export.
  { files: ['eslint.config.mjs', 'vitest.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
);
