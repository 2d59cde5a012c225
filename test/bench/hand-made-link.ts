/** @module Tunnels between two sites made by hand with `ip` and `wg`: what Spanwire's are compared with. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../demo/eventually.ts";
import { type Program, startProgram } from "../demo/program.ts";
import type { GatewayMachine, Site } from "../netns/topology.ts";
import { makeWireGuardKeys } from "../netns/wireguard-keys.ts";
import { onlyGateway } from "./only-gateway.ts";

export interface HandMadeOptions {
  readonly sites: readonly [Site, Site];
  readonly mtuBytes: number;
  /** Of outer packets. */
  readonly fwmark: string;
  /** For keys and logs. */
  readonly directory: string;
  /** Of wireguard-go, for devices in userspace. */
  readonly wireguardGo?: string;
}

const PORT = 51_820;

/** Links the two sites; gives the programs that carry it in userspace. */
export async function linkByHand({ sites, ...options }: HandMadeOptions): Promise<readonly Program[]> {
  const ends = sites.map((site, index) => ({
    ...{ site, gateway: onlyGateway(site), keys: makeWireGuardKeys() },
    // A device in userspace is named once for the whole machine: its socket is a file.
    device: options.wireguardGo === undefined ? "sw-a0" : `wgo${index}`,
  }));
  const programs: Program[] = [];
  for (const [index, { gateway, keys, device }] of ends.entries()) {
    const other = ends[1 - index];
    if (other === undefined) throw new Error("a link has two ends");
    const keyFile = join(options.directory, `${gateway.name}.key`);
    await writeFile(keyFile, keys.privateKey, { mode: 0o600 });
    const program = await makeDevice(gateway, device, options);
    if (program !== undefined) programs.push(program);
    gateway.namespace.sysctl({ "ipv4/ip_forward": 1 });
    const peer = `peer ${other.keys.publicKey} endpoint ${other.gateway.underlay.ipv4}:${PORT}`;
    await gateway.namespace.sh(
      `wg set ${device} listen-port ${PORT} fwmark ${options.fwmark} private-key ${keyFile} ` +
        `${peer} allowed-ips ${other.site.prefix.ipv4}`,
    );
    await gateway.namespace.ip(
      `link set ${device} mtu ${options.mtuBytes} up`,
      `route add ${other.site.prefix.ipv4} dev ${device}`,
    );
  }
  return programs;
}

async function makeDevice(
  { name, namespace }: GatewayMachine,
  device: string,
  { directory, wireguardGo }: Pick<HandMadeOptions, "directory" | "wireguardGo">,
): Promise<Program | undefined> {
  if (wireguardGo === undefined) {
    await namespace.ip(`link add ${device} type wireguard`);
    return undefined;
  }
  const program = await startProgram({
    enter: namespace.enter,
    argv: [wireguardGo, "--foreground", device],
    logFile: join(directory, `${name}.log`),
  });
  await eventually(`wireguard-go of ${name}`, () => namespace.sh(`wg show ${device}`));
  return program;
}

/** Gives the gateways of `to` the firewall table of those of `from`, with their own prefixes in it. */
export async function copyFirewall(from: readonly [Site, Site], to: readonly [Site, Site]): Promise<void> {
  for (const index of [0, 1] as const) {
    const table = await onlyGateway(from[index]).namespace.sh("nft --stateless list table inet spanwire");
    const own = from.reduce((text, site, n) => text.replaceAll(site.prefix.ipv4, to[n]?.prefix.ipv4 ?? ""), table);
    await onlyGateway(to[index]).namespace.sh(`nft -f - <<'END'\n${own}\nEND`);
  }
}
