import { SpanwireError } from "@spanwire/core/errors";
import { expect, test } from "vitest";
import type { Change } from "../kernel/change.ts";
import type { ObservedRoute } from "../kernel/port.ts";
import type { Failure } from "./apply.ts";
import { type HostFacts, hostConditions } from "./conditions.ts";

const NOTHING: HostFacts = {
  observed: {
    network: { links: [], settings: [], addresses: [], nexthops: [], routes: [], rules: [] },
    devices: new Map(),
    firewall: { kind: "absent" },
  },
  unusable: new Map(),
  failures: [],
  unresolved: [],
  foreignDrop: undefined,
  sysctls: [],
};

const refused = (change: Change, reason: string, said: string): Failure => ({
  change,
  error: new SpanwireError("kernel", `${change.kind}: ${said} (${reason})`, { reason }),
});

const diverting: ObservedRoute = {
  table: 5180,
  destination: "10.2.0.0/24",
  metric: 0,
  target: { kind: "other", type: 1 },
};
const firewall = {
  remote: [],
  kept: [],
  lanePrefix: "sw-",
  stableDevice: "sw0",
  mark: { mark: 4096, mask: 4096 },
  forward: [],
  snat: [],
  mssClamp: undefined,
} as const;

interface Case {
  readonly name: string;
  readonly facts: Partial<HostFacts>;
  readonly want: readonly string[];
}

test.each<Case>([
  { name: "nothing to say", facts: {}, want: [] },
  {
    name: "devices that cannot be had",
    facts: {
      unusable: new Map([
        ["sw-b0", "down"],
        ["sw-a0", "foreign"],
        ["sw-a1", "absent"],
      ]),
    },
    want: [
      "DeviceMissing | device sw-a1 | sw-a1 is absent and cannot be brought up: what it carries takes another lane or is held back",
      "DeviceMissing | device sw-b0 | sw-b0 is down and cannot be brought up: what it carries takes another lane or is held back",
      "DeviceTaken | device sw-a0 | sw-a0 is another program's device: rename or remove it, or Spanwire does without this one",
    ],
  },
  {
    name: "a foreign route in our table",
    facts: { observed: { ...NOTHING.observed, network: { ...NOTHING.observed.network, routes: [diverting] } } },
    want: [
      'ForeignRoute | route 10.2.0.0/24 | "other(1) 10.2.0.0/24 table 5180" is none of ours: it may divert packets (the firewall drops them); remove it',
    ],
  },
  {
    name: "a name without an address",
    facts: { unresolved: ["gw.example"] },
    want: [
      "EndpointUnresolved | endpoint gw.example | gw.example has no address that may be used: ask its site, or see to this host's name server",
    ],
  },
  {
    name: "other programs' chains that drop",
    facts: {
      foreignDrop: {
        chains: [
          { name: "inet firewalld filter_FORWARD", policy: "accept", version: "1" },
          { name: "ip filter FORWARD", policy: "drop", version: "1" },
        ],
      },
    },
    want: [
      "HostFirewallDrops | firewall inet firewalld filter_FORWARD, ip filter FORWARD | forwarded packets of the mesh are dropped on this host by another program's rules: let sw-* pass, in both directions, in inet firewalld filter_FORWARD, ip filter FORWARD (policy drop)",
    ],
  },
  {
    name: "somebody who drops, and is not nft",
    facts: { foreignDrop: { chains: [] } },
    want: [
      "HostFirewallDrops | firewall | forwarded packets of the mesh are dropped on this host by another program's rules, and none of nft's can: look at \"iptables-legacy -S FORWARD\" and BPF programs",
    ],
  },
  {
    name: "sysctls",
    facts: {
      sysctls: [
        { sysctl: "net.ipv4.fib_multipath_hash_policy", value: "0", wanted: "1", consequence: "all take one way" },
      ],
    },
    want: [
      "SysctlNotSet | sysctl net.ipv4.fib_multipath_hash_policy | net.ipv4.fib_multipath_hash_policy is 0, not 1: all take one way; set it in /etc/sysctl.d",
    ],
  },
  {
    name: "refusals, by what they mean",
    facts: {
      failures: [
        refused(
          { kind: "set-wireguard-device", device: "sw-a0", listenPort: 51820 },
          "EADDRINUSE",
          "Address already in use",
        ),
        refused({ kind: "replace-firewall", firewall }, "ENOENT", "nft is not installed"),
        refused(
          { kind: "set-settings", settings: { device: "sw-a0", rpFilter: 2, forwarding: true } },
          "EPERM",
          "not permitted",
        ),
        refused({ kind: "remove-nexthop", id: 7 }, "EBUSY", "busy"),
        refused({ kind: "remove-nexthop", id: 8 }, "EBUSY", "busy"),
        refused({ kind: "remove-nexthop", id: 9 }, "EPERM", "not permitted"),
      ],
    },
    want: [
      "GuardMissing | replace firewall: 0 remote prefixes, 0 forward rules, 0 translations | no further peer is let in, and blackhole routes alone keep packets from leaving in clear: replace-firewall: nft is not installed (ENOENT)",
      "KernelRefused | remove nexthop id 7 | remove-nexthop: busy (EBUSY); and 1 more like it",
      "KernelRefused | remove nexthop id 9 | remove-nexthop: not permitted (EPERM)",
      "PortInUse | set device sw-a0 listen-port 51820 | stop the program that has this port, or set another base port: set-wireguard-device: Address already in use (EADDRINUSE)",
      "RpFilterStrict | set settings of sw-a0 rp_filter 2 forwarding 1 | packets will be lost whenever a remote gateway's lane changes: set-settings: not permitted (EPERM)",
    ],
  },
])("$name", ({ facts, want }) => {
  const conditions = hostConditions({ ...NOTHING, ...facts });
  expect(conditions.map(({ type, subject, message }) => `${type} | ${subject} | ${message}`)).toEqual(want);
});
