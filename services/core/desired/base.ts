/** @module What a gateway's kernel holds whoever the others are: devices, addresses, rules, what stays local. */
import { type Cidr, compareCidrs, containsCidr, overlaps } from "../address/cidr.ts";
import { ADDRESS_BITS } from "../address/ip.ts";
import type { Condition } from "./condition.ts";
import type { Context, PlaneInUse } from "./context.ts";
import { EMPTY_FRAGMENT, type FirewallFrame, type Fragment } from "./desired.ts";
import { forwardingConditions } from "./forwarding.ts";
import { LANE_PREFIX, laneIndex, laneName, STABLE_DEVICE } from "./lane.ts";
import { ownPrefixConditions } from "./own-prefix.ts";
import type { Address, ForwardRule, Link, Plane, Route } from "./state.ts";

const IPV4_AND_TCP_HEADER_BYTES = 40;
const IPV6_AND_TCP_HEADER_BYTES = 60;

export interface BaseInputs {
  /** Rules for pairs that this cluster carries. */
  readonly through: readonly ForwardRule[];
  /** Keys of records that this version does not understand. */
  readonly unknownKeys: readonly string[];
}

export function compileBase(context: Context, { through, unknownKeys }: BaseInputs): Fragment {
  const { routable, local } = context;
  const lanes = context.isAdmitted ? context.planes.flatMap((plane) => lanesOf(context, plane)) : [];
  return {
    ...EMPTY_FRAGMENT,
    links: [{ kind: "dummy", name: STABLE_DEVICE, mtuBytes: local.mtuBytes }, ...lanes.map(({ link }) => link)],
    // 0 is not enough where `all` is 1: the kernel takes the larger, and 2 (loose) is larger than both.
    settings: lanes.map(({ link }) => ({ device: link.name, rpFilter: 2, forwarding: true })),
    addresses: [...stableAddresses(context), ...lanes.flatMap(({ addresses }) => addresses)],
    routes: throwRoutes(context),
    rules: routable.map((family) => ({
      family,
      priority: local.routing.rulePriority,
      notFwmark: local.routing.fwmark,
      table: local.routing.table,
    })),
    forward: through,
    conditions: [
      ...conditionsOfHost(context),
      ...forwardingConditions(context, through),
      ...ownPrefixConditions(context),
      ...unknownKeys.map(unknownRecord),
    ],
  };
}

export function firewallFrame({ local }: Context): FirewallFrame {
  return {
    lanePrefix: LANE_PREFIX,
    stableDevice: STABLE_DEVICE,
    mark: local.routing.fwmark,
    mssClamp: {
      ipv4: local.mtuBytes - IPV4_AND_TCP_HEADER_BYTES,
      ipv6: local.mtuBytes - IPV6_AND_TCP_HEADER_BYTES,
    },
  };
}

/** Metric of a route that should win. The kernel reads 0 as 1024 for IPv6 and reports that. */
export function bestMetric(family: Cidr["family"]): number {
  return family === "ipv4" ? 0 : 1024;
}

interface Lane {
  readonly link: Link;
  readonly addresses: readonly Address[];
}

/** One for every ordinal a remote may have, peers or not, so that the port answers before the first peer is known. */
function lanesOf(context: Context, { plane, key }: PlaneInUse): readonly Lane[] {
  const { local, maxGateways } = context;
  if (key === undefined) return [];
  const addresses = ownAddresses(context, plane);
  return Array.from({ length: maxGateways }, (_, ordinal) => {
    const name = laneName(plane, ordinal);
    return {
      link: {
        kind: "wireguard",
        name,
        mtuBytes: local.mtuBytes,
        listenPort: local.basePort + laneIndex(plane, ordinal),
        fwmark: local.routing.fwmark.mark,
        publicKey: key.publicKey,
        ...(key.privateKey && { privateKey: key.privateKey }),
      },
      // Every lane needs one: on a device without an IPv4 address loose rp_filter is strict (fib_validate_source).
      addresses: addresses.map((address) => ({ device: name, address })),
    };
  });
}

function stableAddresses(context: Context): readonly Address[] {
  return ownAddresses(context, "stable").map((address) => ({ device: STABLE_DEVICE, address }));
}

function ownAddresses({ sources, carried }: Context, which: "stable" | Plane): readonly string[] {
  if (sources === undefined) return [];
  return carried.map((family) => `${sources[which][family]}/${ADDRESS_BITS[family]}`);
}

function throwRoutes({ own, kept, routable, local }: Context): readonly Route[] {
  const prefixes = [...kept, ...(own?.prefixes ?? [])].filter(({ family }) => routable.includes(family));
  const byText = new Map(prefixes.sort(compareCidrs).map((prefix) => [prefix.text, prefix]));
  return [...byText].map(([destination, { family }]) => ({
    table: local.routing.table,
    destination,
    metric: bestMetric(family),
    target: { kind: "throw" },
  }));
}

function conditionsOfHost({ own, isAdmitted, kept, localRoutes, overlay, planes, local }: Context): Condition[] {
  const conditions: Condition[] = [...(own?.conditions ?? [])];
  const self = `gateway ${local.clusterId}.${local.ordinal}`;
  if (!isAdmitted) {
    const message = `${self} is not admitted: it builds no tunnels; join again with a new token`;
    conditions.push({ type: "NotAdmitted", subject: self, message });
  }
  for (const { epoch, key } of planes) {
    if (key !== undefined) continue;
    const message = `${self} holds no key for epoch ${epoch}: it has no lanes there`;
    conditions.push({ type: "NoOwnKey", subject: `epoch ${epoch}`, message });
  }
  const isMet = (prefix: Cidr) => overlaps(overlay[prefix.family], prefix);
  const isCovered = (prefix: Cidr) => containsCidr(overlay[prefix.family], prefix);
  for (const prefix of [...kept.filter(isMet), ...localRoutes.filter(isCovered)]) {
    const range = overlay[prefix.family];
    const subject = `prefix ${prefix.text}`;
    const message = `the local ${subject} meets ${range.text}, the mesh's own range: renumber one of them`;
    conditions.push({ type: "OverlayMeetsLocalRoute", subject, message });
  }
  return conditions;
}

function unknownRecord(key: string): Condition {
  const message = `record ${key} is of a type that this version does not know: kept and not obeyed; upgrade the agent`;
  return { type: "UnknownRecord", subject: `record ${key}`, message };
}
