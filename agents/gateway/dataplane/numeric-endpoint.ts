/** @module Whether an endpoint can go to the kernel as it stands, or names a host that has to be resolved first. */

/** Wishes hold addresses in canonical form, so what begins like one is one. */
export function isNumericEndpoint(endpoint: string): boolean {
  return /^(\[[0-9a-f:.]+\]|[0-9.]+):[0-9]+$/.test(endpoint);
}
