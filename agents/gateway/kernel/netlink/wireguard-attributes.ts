/** @module The numbers of generic netlink's family "wireguard" (include/uapi/linux/wireguard.h). */

export const WIREGUARD_FAMILY = "wireguard";
export const WIREGUARD_VERSION = 1;

export const COMMAND = { getDevice: 0, setDevice: 1 } as const;

export const DEVICE = {
  name: 2,
  privateKey: 3,
  publicKey: 4,
  listenPort: 6,
  fwmark: 7,
  peers: 8,
} as const;

export const PEER = {
  publicKey: 1,
  presharedKey: 2,
  flags: 3,
  endpoint: 4,
  keepalive: 5,
  lastHandshake: 6,
  rxBytes: 7,
  txBytes: 8,
  allowedIps: 9,
} as const;

export const PEER_FLAG = { removeMe: 1, updateOnly: 4 } as const;

export const ALLOWED_IP = { family: 1, address: 2, bits: 3, flags: 4 } as const;

/** WGALLOWEDIP_F_REMOVE_ME, Linux 6.16. */
export const ALLOWED_IP_FLAG = { removeMe: 1 } as const;
