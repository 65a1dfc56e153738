import { DomainError } from '@pca/errors';

/** Of all that may be held: one address must not keep all others out by sending slowly. */
const addressShare = 1 / 4;
const retryAfterSeconds = 1;

/**
 * Bytes of bodies that are held, or may yet arrive, of requests that nobody has authenticated: bounded in all and for each address. At least
 * one body has room.
 */
export class HeldBodies {
  private readonly byAddress = new Map<string, number>();
  private held = 0;
  private readonly max: number;
  private readonly addressMax: number;

  constructor(
    bytesMax: number,
    private readonly bodyBytesMax: number,
  ) {
    this.max = Math.max(bytesMax, bodyBytesMax);
    this.addressMax = Math.max(this.max * addressShare, bodyBytesMax);
  }

  /**
   * Keeps room for a body of `length` bytes, undefined where the client does not say it, until what is returned is called, once. Throws
   * SERVICE_UNAVAILABLE.
   */
  hold(address: string, length: number | undefined): () => void {
    const bytes = Math.min(length ?? this.bodyBytesMax, this.bodyBytesMax);
    const ofAddress = (this.byAddress.get(address) ?? 0) + bytes;
    if (this.held + bytes > this.max || ofAddress > this.addressMax) {
      throw new DomainError('SERVICE_UNAVAILABLE', 'Too many events are on their way at once', { retryAfterSeconds });
    }
    this.held += bytes;
    this.byAddress.set(address, ofAddress);
    return () => {
      this.held -= bytes;
      const left = (this.byAddress.get(address) ?? 0) - bytes;
      if (left > 0) this.byAddress.set(address, left);
      else this.byAddress.delete(address);
    };
  }
}
