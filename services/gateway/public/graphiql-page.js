const place = document.getElementById('graphiql');
const token = place.dataset.token;
const headers = JSON.stringify({ authorization: `Bearer ${token || 'paste a token here'}` }, null, 2);
const query = `# Campaigns of the workspace that the token names.
query Campaigns {
  campaigns(limit: 10) {
    id
    name
  }
}
`;

// The token of an earlier day must not come back from the browser's storage, so headers are never kept there.
ReactDOM.createRoot(place).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: '/graphql' }),
    defaultQuery: query,
    initialHeaders: headers,
    defaultHeaders: headers,
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  }),
);
