// Many distinct federated operations, so that neither one cached plan nor the joining of equal requests in flight flatters a gateway.
const campaignFields = ['name', 'platform', 'spend', 'clicks'];
const noteFields = ['noteCount', 'notes(limit: 1) { text }', 'count: noteCount', 'first: notes(limit: 1) { id }'];

/**
 * `count` documents: every subset of the campaign's fields with every form of the other subgraph's, in two shapes, with and without
 * variables.
 */
export const makeDocuments = (count) =>
  Array.from({ length: count }, (_, index) => {
    const own = campaignFields.filter((_field, bit) => (index >> bit) & 1);
    const other = noteFields[(index >> 4) % noteFields.length];
    const selection = `id ${own.join(' ')} ${other}`;
    const name = `Varied${index}`;
    return index % 2 === 0
      ? {
          federated: `query ${name}($limit: Int!) { campaigns(limit: $limit) { ${selection} } }`,
          direct: `query ${name}($limit: Int!) { campaigns(limit: $limit) { id ${own.join(' ')} } }`,
        }
      : {
          federated: `query ${name}($limit: Int!, $platform: String) { found: campaigns(limit: $limit, platform: $platform) { ...Shown } } fragment Shown on Campaign { ${selection} }`,
          direct: `query ${name}($limit: Int!, $platform: String) { found: campaigns(limit: $limit, platform: $platform) { ...Shown } } fragment Shown on Campaign { id ${own.join(' ')} }`,
        };
  });

const platforms = ['Google', 'Meta', 'TikTok', null];

/** The body of the n-th request: documents in turn, variables that hardly repeat within a round. */
export const bodyOf = (documents, kind, n) =>
  JSON.stringify({
    query: documents[n % documents.length][kind],
    variables: { limit: 15 + (n % 11), platform: n % 2 === 0 ? undefined : platforms[(n >> 1) % platforms.length] },
  });
