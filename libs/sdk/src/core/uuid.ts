let lastMs = 0;
let countInMs = 0;

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/**
 * A UUIDv7 (RFC 9562): ids of one program sort in the order in which they were made, also within a millisecond and when the clock is
 * set back. Made by hand because crypto.randomUUID is version 4 and not there on pages without https.
 */
export const uuidv7 = (nowMs = Date.now()): string => {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    countInMs = 0;
  } else if (++countInMs > 0xfff) {
    lastMs++;
    countInMs = 0;
  }
  const random = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte, index) => hex(index ? byte : (byte & 0x3f) | 0x80, 2)).join(
    '',
  );
  const time = hex(lastMs, 12);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(countInMs, 3)}-${random.slice(0, 4)}-${random.slice(4)}`;
};

/** When a UUIDv7 was made, milliseconds since 1970. */
export const uuidTimeMs = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
