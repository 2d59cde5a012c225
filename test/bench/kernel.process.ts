/** @module The fake kernel in a process of its own, as a real one is outside the agent's memory. */
import { Secret } from "@spanwire/core/identity/secret";
import { applyChange, type Change } from "@spanwire/gateway/kernel/change";
import { FakeKernel } from "@spanwire/gateway/kernel/fake/fake-kernel";
import { serveParent } from "./serve-parent.ts";

const kernel = new FakeKernel();

/** A change as it can be copied between processes: a Secret is its bytes. */
export type PlainChange = Change & { readonly privateKey?: unknown; readonly presharedKey?: unknown };

const handlers = {
  network: () => kernel.network.observe(),
  host: () => kernel.network.host(),
  wireguard: (device: string) => kernel.wireguard.observe(device),
  firewall: () => kernel.firewall.observe(),
  counters: () => kernel.firewall.counters(),
  forwarded: () => kernel.firewall.forwarded(),
  foreignChains: () => kernel.firewall.foreignChains(),
  apply: (change: PlainChange) => applyChange(kernel, withSecrets(change)),
};

export type KernelProgram = typeof handlers;

function withSecrets(change: PlainChange): Change {
  const { privateKey, presharedKey } = change;
  return {
    ...change,
    ...(privateKey instanceof Uint8Array && { privateKey: new Secret(privateKey) }),
    ...(presharedKey instanceof Uint8Array && { presharedKey: new Secret(presharedKey) }),
  };
}

serveParent(handlers);
