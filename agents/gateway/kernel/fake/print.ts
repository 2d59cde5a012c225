/** @module The fake kernel as text, in the words of `ip`, `wg showconf` and `nft`: sorted, without secrets, for goldens. */
import { describeNexthop, describeRoute, describeRule } from "../describe.ts";
import { observeNetwork } from "./network.ts";
import type { FakeState } from "./state.ts";
import { observeDevice } from "./wireguard.ts";

export function printState(state: FakeState): string {
  const network = observeNetwork(state);
  const lines = [
    ...network.links.flatMap(({ kind, name, mtuBytes, up }) => [
      `link ${name} ${kind} mtu ${mtuBytes} ${up ? "up" : "down"}`,
      ...network.addresses.filter(({ device }) => device === name).map(({ address }) => `  address ${address}`),
      ...network.settings
        .filter(({ device }) => device === name)
        .map(({ rpFilter, forwarding }) => `  rp_filter ${rpFilter} forwarding ${forwarding ? 1 : 0}`),
      ...printDevice(state, name),
    ]),
    ...network.nexthops.map((nexthop) => `nexthop ${describeNexthop(nexthop)}`),
    ...network.routes.map((route) => `route ${describeRoute(route)}`),
    ...network.rules.map((rule) => `rule ${describeRule(rule)}`),
    ...printFirewall(state),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function printDevice(state: FakeState, name: string): string[] {
  const device = observeDevice(state, name);
  if (device === undefined) return [];
  return [
    `  listen-port ${device.listenPort} fwmark 0x${device.fwmark.toString(16)} public-key ${device.publicKey ?? "(none)"}`,
    ...device.peers.flatMap((peer) => [
      `  peer ${peer.publicKey}${peer.hasPresharedKey ? " preshared-key [secret]" : ""}`,
      `    endpoint ${peer.endpoint ?? "(none)"} keepalive ${peer.keepaliveSeconds}`,
      `    allowed-ips ${peer.allowedIps.join(", ")}`,
    ]),
  ];
}

function printFirewall({ firewall }: FakeState): string[] {
  if (firewall === undefined) return [];
  if ("altered" in firewall) return [`firewall altered: ${firewall.altered}`];
  const { remote, forward, snat, mssClamp, mark } = firewall;
  return [
    `firewall mark 0x${mark.mark.toString(16)}/0x${mark.mask.toString(16)}`,
    `  remote ${remote.join(", ")}`,
    ...forward.map((rule) => {
      const ports = rule.ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
      const service = ports === "" ? rule.protocol : `${rule.protocol} ${ports}`;
      return `  forward ${rule.link} ${rule.direction} ${rule.source} -> ${rule.destination} ${service}`;
    }),
    ...snat.map(({ source, destination, to }) => `  snat ${source} -> ${destination} to ${to}`),
    ...(mssClamp === undefined ? [] : [`  mss ipv4 ${mssClamp.ipv4} ipv6 ${mssClamp.ipv6}`]),
  ];
}
