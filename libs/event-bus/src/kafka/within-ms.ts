/** What is given in time, or a rejection; the signal tells whoever is still at it that nobody waits any more. */
export const withinMs = async <T>(ms: number, what: string, give: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${Math.round(ms)} ms`)), Math.max(0, ms));
  });
  const given = give(over.signal);
  try {
    return await Promise.race([given, late]);
  } finally {
    clearTimeout(timer);
    over.abort();
    given.catch(() => undefined);
  }
};
