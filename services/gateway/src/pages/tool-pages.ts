import { escapeHtml, htmlPage } from './html.js';

const script = (name: string): string => `<script defer src="/assets/${name}"></script>`;
const stylesheet = (name: string): string => `<link rel="stylesheet" href="/assets/${name}">`;

/**
 * The token stands in an attribute, not in a script: a script could be loaded and run by a page of another origin, this page cannot be read
 * by one.
 */
export const graphiqlPage = (token: string | undefined): string =>
  htmlPage({
    title: 'GraphiQL · PCA Agent',
    head: [
      stylesheet('graphiql.css'),
      stylesheet('graphiql-page.css'),
      script('react.js'),
      script('react-dom.js'),
      script('graphiql.js'),
      script('graphiql-page.js'),
    ].join('\n'),
    body: `<div id="graphiql" data-token="${escapeHtml(token ?? '')}">Loading…</div>`,
  });

/** Swagger UI, with the token as in GraphiQL. */
export const docsPage = (token: string | undefined): string =>
  htmlPage({
    title: 'REST API · PCA Agent',
    head: [stylesheet('swagger-ui.css'), script('swagger-ui.js'), script('docs-page.js')].join('\n'),
    body: `<div id="docs" data-token="${escapeHtml(token ?? '')}"></div>`,
  });
