import { registerHooks } from 'node:module';

/** Lets a spawned process run from the TypeScript sources, as the tests do, so that no build can be stale: node --import this file. */
registerHooks({
  resolve: (specifier, context, next) => {
    const lib = /^@pca\/([\w-]+)$/.exec(specifier)?.[1];
    if (lib) return next(new URL(`../../../${lib}/src/index.ts`, import.meta.url).href, context);
    const isOurs = specifier.startsWith('.') && context.parentURL?.endsWith('.ts');
    return next(isOurs ? specifier.replace(/\.js$/, '.ts') : specifier, context);
  },
});
