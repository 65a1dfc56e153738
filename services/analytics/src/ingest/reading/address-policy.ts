import { createHmac } from 'node:crypto';
import ipaddr from 'ipaddr.js';

/** Of what a visitor's address becomes. */
export interface AddressPolicy {
  readonly ipPolicy: 'DROP' | 'TRUNCATE' | 'HASH';
  readonly ipSalt: Buffer;
}

const hashBytes = 16;

/**
 * What is kept of an address: nothing, its network (IPv4 /24, IPv6 /48), or the HMAC-SHA256 of it under the workspace's secret, which is the
 * same for the same address. Undefined for what is no address.
 */
export const keptAddress = (address: unknown, { ipPolicy, ipSalt }: AddressPolicy): string | undefined => {
  if (ipPolicy === 'DROP' || typeof address !== 'string' || !ipaddr.isValid(address)) return undefined;
  const parsed = ipaddr.process(address);
  if (ipPolicy === 'HASH') {
    return createHmac('sha256', ipSalt).update(Buffer.from(parsed.toByteArray())).digest().subarray(0, hashBytes).toString('base64url');
  }
  return parsed.kind() === 'ipv4'
    ? ipaddr.IPv4.networkAddressFromCIDR(`${parsed.toString()}/24`).toString()
    : ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString()}/48`).toString();
};
