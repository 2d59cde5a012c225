/** @module A plan as an operator reads it: in the words of `ip` and `wg`, one section for each concern. */
import type { Condition } from "./condition.ts";
import { conditionsOf, type Desired, flatten } from "./desired.ts";
import type { Firewall, ForwardRule, KernelState, Link, Nexthop, Peer, Route, Rule } from "./state.ts";

/** Everything this gateway should hold and what there is to know about it. Prints no secret. */
export function printDesired(desired: Desired): string {
  return [printState(flatten(desired)), section("conditions", conditionsOf(desired).map(printCondition))].join("");
}

/** A kernel's state, desired or observed. Sections without content are left out. */
export function printState(state: KernelState): string {
  const { links, settings, addresses, peers, nexthops, routes, rules, firewall } = state;
  return [
    section("devices", links.map(printLink)),
    section(
      "device settings",
      settings.map(({ device, rpFilter, forwarding }) => {
        return `${device} rp_filter ${rpFilter} forwarding ${forwarding ? 1 : 0}`;
      }),
    ),
    section(
      "addresses",
      addresses.map(({ device, address }) => `${address} dev ${device}`),
    ),
    section("peers", peers.flatMap(printPeer)),
    section("nexthops", nexthops.map(printNexthop)),
    section("routes", routes.map(printRoute)),
    section("rules", rules.map(printRule)),
    section("firewall", firewall === undefined ? [] : printFirewall(firewall)),
  ].join("");
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `# ${title}\n${lines.join("\n")}\n`;
}

function printLink(link: Link): string {
  if (link.kind === "dummy") return `${link.name} dummy mtu ${link.mtuBytes}`;
  const { name, mtuBytes, listenPort, fwmark, publicKey } = link;
  return `${name} wireguard mtu ${mtuBytes} listen-port ${listenPort} fwmark ${hex(fwmark)} public-key ${publicKey}`;
}

function printPeer(peer: Peer): string[] {
  const { device, publicKey, endpoints, keepaliveSeconds, allowedIps, hasPresharedKey } = peer;
  return [
    `${device} peer ${publicKey}`,
    `  endpoint ${endpoints.length === 0 ? "(it dials us)" : endpoints.join(", ")}`,
    `  persistent-keepalive ${keepaliveSeconds}${hasPresharedKey ? ", preshared-key" : ""}`,
    `  allowed-ips ${allowedIps.join(", ")}`,
  ];
}

function printNexthop(nexthop: Nexthop): string {
  if (nexthop.kind === "device") return `id ${nexthop.id} dev ${nexthop.device} (${nexthop.family})`;
  const members = nexthop.members.map(({ id, weight }) => (weight === 1 ? String(id) : `${id},${weight}`)).join("/");
  const buckets = nexthop.resilientBuckets;
  return `id ${nexthop.id} group ${members}${buckets === undefined ? "" : ` type resilient buckets ${buckets}`}`;
}

function printRoute({ table, destination, metric, target, mtuBytes }: Route): string {
  const tail = `table ${table} metric ${metric}${mtuBytes === undefined ? "" : ` mtu ${mtuBytes}`}`;
  switch (target.kind) {
    case "nexthop":
      return `${destination} nhid ${target.id} src ${target.source} ${tail}`;
    case "device":
      return `${destination} dev ${target.device} src ${target.source} ${tail}`;
    case "blackhole":
    case "throw":
      return `${target.kind} ${destination} ${tail}`;
    default:
      return target satisfies never;
  }
}

function printRule({ family, priority, notFwmark, table }: Rule): string {
  return `${priority}: not from all fwmark ${hex(notFwmark.mark)}/${hex(notFwmark.mask)} lookup ${table} (${family})`;
}

function printFirewall({ remote, kept, lanePrefix, mark, forward, snat, mssClamp }: Firewall): string[] {
  return [
    `guard by ${lanePrefix}* or mark ${hex(mark.mark)}/${hex(mark.mask)} only:`,
    ...remote.map((prefix) => `  ${prefix}`),
    ...kept.map(({ prefix, devices }) => `  ${prefix}, which is local: by ${devices.join(", ")} only`),
    ...forward.map(printForward),
    ...snat.map(({ source, destination, to }) => `snat ${source} -> ${destination} to ${to}`),
    ...(mssClamp === undefined ? [] : [`mss at most ${mssClamp.ipv4} (ipv4), ${mssClamp.ipv6} (ipv6)`]),
  ];
}

function printForward({ link, direction, source, destination, protocol, ports }: ForwardRule): string {
  const ranges = ports.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  const what = [protocol, ...(ranges.length === 0 ? [] : [ranges.join(",")])].join(" ");
  return `allow ${link} ${direction} ${source} -> ${destination} ${what}`;
}

function printCondition({ type, message }: Condition): string {
  return `${type}: ${message}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
