/** @module Which certificate a NATS server may show. */
import { checkServerIdentity, type PeerCertificate } from "node:tls";

/**
 * Makes the check for servers given by URL: the certificate must be for the host of one of them. nats.js itself checks
 * the name of the server it dials, but takes an IP address for `localhost`.
 */
export function checkNatsServer(urls: readonly string[]) {
  const hosts = urls.map(hostOf);
  return (_name: string, certificate: PeerCertificate): Error | undefined => {
    const refusals = hosts.map((host) => checkServerIdentity(host, certificate));
    return refusals.includes(undefined) ? undefined : refusals[0];
  };
}

/** `tls://nats.example:4222`, `10.0.0.5:4222` and `[::1]` have a host; the scheme and the port may be absent. */
function hostOf(url: string): string {
  const { hostname } = new URL(url.includes("://") ? url : `nats://${url}`);
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
