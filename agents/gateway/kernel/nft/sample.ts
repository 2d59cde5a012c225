/**
 * @module A small firewall with every form of rule that any firewall can have: as long as it is rendered as before, so
 * is everything.
 */
import type { Firewall } from "@spanwire/core/desired/state";

export const SAMPLE: Firewall = {
  remote: ["10.2.0.0/16", "10.2.3.0/24", "198.18.0.64/26", "198.18.0.130/32", "fd00:2::/64", "fd00:3::7/128"],
  kept: [
    { prefix: "10.4.0.0/25", devices: ["lan"] },
    { prefix: "fd00:4::/64", devices: ["br0", "lan"] },
  ],
  lanePrefix: "sw-",
  stableDevice: "sw0",
  mark: { mark: 0x1000, mask: 0x1000 },
  forward: [
    rule({ direction: "out", protocol: "any", ports: [] }),
    rule({ direction: "in", source: "10.2.0.0/16", destination: "10.1.0.0/16", protocol: "icmp", ports: [] }),
    rule({ direction: "out", protocol: "udp", ports: [] }),
    rule({ direction: "out", destination: "198.18.0.130/32", protocol: "tcp", ports: [{ first: 443, last: 443 }] }),
    rule({
      link: "eu~plant",
      direction: "through",
      source: "fd00:3::7/128",
      destination: "fd00:2::/64",
      protocol: "udp",
      ports: [
        { first: 53, last: 53 },
        { first: 9000, last: 9100 },
      ],
    }),
    rule({ destination: "10.9.0.0/16", protocol: "tcp" }), // in no remote prefix
    rule({ link: "eu~plant", direction: "in", source: "fd00:3::7/128", destination: "fd00:1::/64", protocol: "icmp" }),
  ],
  snat: [
    { source: "10.1.0.0/16", destination: "10.2.0.0/16", to: "198.18.0.48" },
    { source: "fd00:1::/64", destination: "fd00:2::/64", to: "fd00::30" },
  ],
  mssClamp: { ipv4: 1380, ipv6: 1360 },
};

function rule(given: Partial<Firewall["forward"][number]>): Firewall["forward"][number] {
  return {
    link: "eu~us",
    direction: "out",
    source: "10.1.0.0/16",
    destination: "10.2.0.0/16",
    protocol: "any",
    ports: [],
    ...given,
  };
}
