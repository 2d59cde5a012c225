/** @module One line for each change, for logs, `--dry-run` and tests: what an operator would read, without secrets. */
import type { Nexthop, Rule } from "@spanwire/core/desired/state";
import type { Change } from "./change.ts";
import type { ObservedNexthop, ObservedRoute } from "./port.ts";

export function describeChange(change: Change): string {
  switch (change.kind) {
    case "add-wireguard-link":
      return `add wireguard link ${change.name} mtu ${change.mtuBytes}`;
    case "add-dummy-link":
      return `add dummy link ${change.name} mtu ${change.mtuBytes}`;
    case "remove-wireguard-link":
    case "remove-link":
      return `remove link ${change.name}`;
    case "set-link":
      return words(
        `set link ${change.name}`,
        change.mtuBytes !== undefined && `mtu ${change.mtuBytes}`,
        change.up !== undefined && (change.up ? "up" : "down"),
      );
    case "set-wireguard-device":
      return words(
        `set device ${change.device}`,
        change.privateKey !== undefined && "private-key [secret]",
        change.listenPort !== undefined && `listen-port ${change.listenPort}`,
        change.fwmark !== undefined && `fwmark 0x${change.fwmark.toString(16)}`,
      );
    case "add-peer":
      return words(
        `add peer ${change.publicKey} to ${change.device}`,
        change.presharedKey !== undefined && "preshared-key [secret]",
        change.endpoint !== undefined && `endpoint ${change.endpoint}`,
        `keepalive ${change.keepaliveSeconds}`,
        `allowed-ips ${change.allowedIps.join(",")}`,
      );
    case "remove-peer":
      return `remove peer ${change.publicKey} from ${change.device}`;
    case "add-allowed-ips":
      return `add allowed-ips ${change.allowedIps.join(",")} to peer ${change.publicKey} of ${change.device}`;
    case "remove-allowed-ips":
      return `remove allowed-ips ${change.allowedIps.join(",")} from peer ${change.publicKey} of ${change.device}`;
    case "set-endpoint":
      return `set endpoint ${change.endpoint} of peer ${change.publicKey} of ${change.device}`;
    case "set-keepalive":
      return `set keepalive ${change.keepaliveSeconds} of peer ${change.publicKey} of ${change.device}`;
    case "set-preshared-key": {
      const value = change.presharedKey === undefined ? "none" : "[secret]";
      return `set preshared-key ${value} of peer ${change.publicKey} of ${change.device}`;
    }
    case "set-settings": {
      const { device, rpFilter, forwarding } = change.settings;
      return `set settings of ${device} rp_filter ${rpFilter} forwarding ${forwarding ? 1 : 0}`;
    }
    case "add-address":
      return `add address ${change.address.address} to ${change.address.device}`;
    case "remove-address":
      return `remove address ${change.address.address} from ${change.address.device}`;
    case "replace-nexthop":
      return `replace nexthop ${describeNexthop(change.nexthop)}`;
    case "remove-nexthop":
      return `remove nexthop id ${change.id}`;
    case "replace-route":
      return `replace route ${describeRoute(change.route)}`;
    case "remove-route":
      return `remove route ${describeRoute(change.route)}`;
    case "add-rule":
      return `add rule ${describeRule(change.rule)}`;
    case "remove-rule":
      return `remove rule ${describeRule(change.rule)}`;
    case "replace-firewall": {
      const { remote, forward, snat } = change.firewall;
      return `replace firewall: ${remote.length} remote prefixes, ${forward.length} forward rules, ${snat.length} translations`;
    }
    case "remove-firewall":
      return "remove firewall";
    default:
      return change satisfies never;
  }
}

/** As `ip nexthop` prints it. */
export function describeNexthop(nexthop: ObservedNexthop): string {
  if (nexthop.kind === "other") return `id ${nexthop.id} other`;
  if (nexthop.kind === "device") return `id ${nexthop.id} dev ${nexthop.device} ${nexthop.family}`;
  return words(
    `id ${nexthop.id} group ${nexthop.members.map(member).join("/")}`,
    nexthop.resilientBuckets !== undefined && `type resilient buckets ${nexthop.resilientBuckets}`,
  );
}

/** As `ip route` prints it. */
export function describeRoute(route: ObservedRoute): string {
  const { target } = route;
  return words(
    (target.kind === "blackhole" || target.kind === "throw") && target.kind,
    target.kind === "other" && `other(${target.type})`,
    route.destination,
    target.kind === "nexthop" && `nhid ${target.id} src ${target.source}`,
    target.kind === "device" && `dev ${target.device} src ${target.source}`,
    `table ${route.table}`,
    route.metric !== 0 && `metric ${route.metric}`,
    route.mtuBytes !== undefined && `mtu ${route.mtuBytes}`,
  );
}

/** As `ip rule` prints it. */
export function describeRule(rule: Rule): string {
  const mark = `0x${rule.notFwmark.mark.toString(16)}/0x${rule.notFwmark.mask.toString(16)}`;
  return `${rule.priority}: not fwmark ${mark} lookup ${rule.table} ${rule.family}`;
}

function member({ id, weight }: Extract<Nexthop, { kind: "group" }>["members"][number]): string {
  return weight === 1 ? `${id}` : `${id},${weight}`;
}

function words(...parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false).join(" ");
}
