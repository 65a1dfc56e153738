import { hash } from 'node:crypto';

const keyMark = '"writeKey"';
/** The name, a little white space, and a key several times as long as ours are. */
const keyBytesMax = 160;
/** Headers in which analytics finds a key; it looks past any other, and so must who counts. */
const headerPattern = /^(?:Basic|Bearer) +[A-Za-z0-9._~+/=-]{1,512}$/i;
const keyPattern = /^"writeKey"\s{0,8}:\s{0,8}"([^"\\]{1,128})"/;

/**
 * What a request's ingest key is known by here: a digest, since the key itself must not lie in a shared store. Only analytics can tell which
 * of the header and the body it takes the key from, so that both are in it. The body is searched and not parsed: it may be large, and what
 * hides its key, as a compressed one does, is only counted as without one.
 */
export const keyIdOf = (authorization = '', body: Buffer | undefined): string => {
  const inHeader = headerPattern.test(authorization) ? authorization : '';
  return hash('sha256', `${inHeader}\n${body ? keyIn(body) : ''}`, 'base64url').slice(0, 22);
};

const keyIn = (body: Buffer): string => {
  const at = body.indexOf(keyMark);
  return at < 0 ? '' : (keyPattern.exec(body.toString('latin1', at, at + keyBytesMax))?.[1] ?? '');
};

/** Of all that hide their key: that one of them is good says nothing of the others. */
export const hiddenKeyId = keyIdOf(undefined, undefined);
