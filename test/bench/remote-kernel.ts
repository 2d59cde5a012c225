/** @module A kernel in another process, behind the same port. */
import { Secret } from "@spanwire/core/identity/secret";
import type { Change } from "@spanwire/gateway/kernel/change";
import { kernelFeatures } from "@spanwire/gateway/kernel/features";
import type { Kernel } from "@spanwire/gateway/kernel/port";
import { startChild } from "./child.ts";
import type { KernelProgram, PlainChange } from "./kernel.process.ts";
import { silence } from "./silence.ts";

export function openRemoteKernel(): Kernel {
  const child = startChild<KernelProgram>("kernel.process.ts");
  const apply = async (change: Change) => child.ask("apply", withoutSecrets(change));
  return {
    features: kernelFeatures("7.0"),
    wireguard: { observe: (device) => child.ask("wireguard", device), apply },
    network: { observe: () => child.ask("network"), host: () => child.ask("host"), watch: silence, apply },
    firewall: {
      observe: () => child.ask("firewall"),
      counters: () => child.ask("counters"),
      forwarded: () => child.ask("forwarded"),
      foreignChains: () => child.ask("foreignChains"),
      apply,
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

function withoutSecrets(change: Change): PlainChange {
  const plain = Object.entries(change).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]);
  return Object.fromEntries(plain);
}
