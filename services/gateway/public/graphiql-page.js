const place = document.getElementById('graphiql');
const { token } = place.dataset;
const authorization = `Bearer ${token || 'paste a token here'}`;
const headers = JSON.stringify({ authorization }, null, 2);
const query = `# Campaigns of the workspace that the token names.
query Campaigns {
  campaigns(limit: 10) {
    id
    name
  }
}
`;

ReactDOM.createRoot(place).render(
  React.createElement(GraphiQL, {
    // The schema is asked for before the headers' editor is there; what stands in the editor wins.
    fetcher: GraphiQL.createFetcher({ url: '/graphql', ...(token && { headers: { authorization } }) }),
    defaultQuery: query,
    headers,
    defaultHeaders: headers,
    isHeadersEditorEnabled: true,
    // The token of an earlier day must not come back from the browser's storage.
    shouldPersistHeaders: false,
  }),
);
