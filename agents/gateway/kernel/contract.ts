/**
 * @module The contract of the three ports: cases that the fake, netlink and wireguard-go must all pass, each on a fresh
 * kernel. They use no test library, so that any test runner can run them.
 */
import { firewallContract } from "./contract/firewall.ts";
import { hostContract } from "./contract/host.ts";
import { linkContract } from "./contract/links.ts";
import { nexthopContract } from "./contract/nexthops.ts";
import { routeContract } from "./contract/routes.ts";
import { wireGuardContract } from "./contract/wireguard.ts";
import type { Kernel } from "./port.ts";

export interface ContractCase {
  readonly name: string;
  run(kernel: Kernel, names: ContractNames): Promise<void>;
}

/** Device names that the kernel under test counts as its own. */
export interface ContractNames {
  readonly stable: string;
  readonly lanes: readonly [string, string];
}

export function kernelContract(): readonly ContractCase[] {
  return [
    ...wireGuardContract.map((each) => prefixed("wireguard", each)),
    ...[...linkContract, ...nexthopContract, ...routeContract, ...hostContract].map((each) =>
      prefixed("network", each),
    ),
    ...firewallContract.map((each) => prefixed("firewall", each)),
  ];
}

function prefixed(port: string, { name, run }: ContractCase): ContractCase {
  return { name: `${port}: ${name}`, run };
}
