/** @module For tests: a kernel that notes what is written. */
import type { Change } from "../kernel/change.ts";
import type { Kernel } from "../kernel/port.ts";

/** The same kernel; each change is put into `writes` before it is made. */
export function noteWrites(kernel: Kernel, writes: Change[]): Kernel {
  const note =
    <C extends Change>(apply: (change: C) => Promise<void>) =>
    (change: C) => {
      writes.push(change);
      return apply(change);
    };
  const { wireguard, network, firewall } = kernel;
  return {
    features: kernel.features,
    wireguard: { ...wireguard, apply: note(wireguard.apply) },
    network: { ...network, apply: note(network.apply) },
    firewall: { ...firewall, apply: note(firewall.apply) },
    [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
  };
}
