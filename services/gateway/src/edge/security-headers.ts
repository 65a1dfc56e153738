type Headers = Readonly<Record<string, string>>;

const always: Headers = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** For answers that no browser shows as a page. */
export const apiHeaders = (production: boolean): Headers => ({
  ...always,
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  // Over plain HTTP on one machine a browser must not be told to insist on TLS.
  ...(production && { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }),
});

/**
 * For our own pages: scripts from our own files only. GraphiQL and Swagger UI write style attributes and carry fonts and pictures as data.
 */
export const pageHeaders: Headers = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cache-control': 'no-store',
};
