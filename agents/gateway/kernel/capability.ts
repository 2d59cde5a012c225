/** @module What this process may do and this host is set to: checked at start, said in a sentence. */
import { readFileSync } from "node:fs";
import { openConnection } from "./netlink/connection.ts";
import { PROTOCOL } from "./netlink/socket.ts";
import { readWireGuardFamily } from "./netlink/wireguard.ts";

const CAP_NET_ADMIN = 12n;

/** Says why this process cannot program the kernel; undefined when it can. `status` is the text of /proc/self/status. */
export function missingNetAdmin(status: string): string | undefined {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return "cannot tell this process's capabilities: /proc/self/status has no CapEff line";
  if (((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) === 1n) return undefined;
  return (
    "the gateway agent needs the capability CAP_NET_ADMIN to program WireGuard, routes and the firewall: " +
    "run it as root, under systemd with AmbientCapabilities=CAP_NET_ADMIN, or in a container with NET_ADMIN added"
  );
}

export function readOwnStatus(): string {
  return readFileSync("/proc/self/status", "utf8");
}

/** Whether the running kernel has WireGuard; loads the module if it is one. Needs no capability. */
export async function hasKernelWireGuard(netns?: string): Promise<boolean> {
  using generic = openConnection({ protocol: PROTOCOL.generic, ...(netns === undefined ? {} : { netns }) });
  return (await readWireGuardFamily(generic)) !== undefined;
}

/** A setting that only a sysctl can make, and that is not as it should be. */
export interface SysctlFinding {
  readonly sysctl: string;
  /** Undefined when it does not exist. */
  readonly value: string | undefined;
  readonly wanted: string;
  readonly consequence: string;
}

interface Expectation {
  readonly sysctl: string;
  readonly wanted: string;
  readonly when: "always" | "ipv6";
  readonly consequence: string;
}

/** Forwarding is not among them: it changes while we run, and is looked at with the host's networks. */
const EXPECTATIONS: readonly Expectation[] = [
  {
    sysctl: "net.ipv4.fib_multipath_hash_policy",
    wanted: "1",
    when: "always",
    consequence: "all connections between two hosts take the same one of a remote cluster's gateways",
  },
  {
    sysctl: "net.ipv6.fib_multipath_hash_policy",
    wanted: "1",
    when: "ipv6",
    consequence: "all IPv6 connections between two hosts take the same one of a remote cluster's gateways",
  },
];

/** Lists what should be set and is not. `read` returns a sysctl's value, undefined when it does not exist. */
export function checkSysctls(
  options: { readonly ipv6: boolean },
  read: (sysctl: string) => string | undefined = readSysctl,
): SysctlFinding[] {
  return EXPECTATIONS.filter(({ when }) => when === "always" || options.ipv6).flatMap(
    ({ sysctl, wanted, consequence }) => {
      const value = read(sysctl);
      return value === wanted ? [] : [{ sysctl, value, wanted, consequence }];
    },
  );
}

export function describeFinding({ sysctl, value, wanted, consequence }: SysctlFinding): string {
  return `${sysctl} is ${value ?? "absent"}, not ${wanted}: ${consequence}`;
}

/** Reads from /proc/sys, as the calling thread's network namespace has it. */
export function readSysctl(sysctl: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${sysctl.replaceAll(".", "/")}`, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
