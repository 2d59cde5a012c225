/** @module The fake kernel, which tells when it was written to. */
import { setImmediate } from "node:timers/promises";
import { applyChange, type Change } from "@spanwire/gateway/kernel/change";
import { FakeKernel } from "@spanwire/gateway/kernel/fake/fake-kernel";
import type { Kernel, ObservedWireGuard } from "@spanwire/gateway/kernel/port";
import { nowMs } from "./now.ts";
import { silence } from "./silence.ts";

export interface CountingOptions {
  /** All tunnels carry keepalives, as in a mesh that is well; else no peer ever answers. */
  readonly isHealthy?: boolean;
}

export class CountingKernel implements Kernel {
  /** Called after each write, with the time at which it was done. */
  onWrite: ((atMs: number) => void) | undefined;
  readonly features: Kernel["features"];
  readonly wireguard: Kernel["wireguard"];
  readonly network: Kernel["network"];
  readonly firewall: Kernel["firewall"];
  readonly #fake = new FakeKernel();

  constructor({ isHealthy = false }: CountingOptions = {}) {
    const { features, wireguard, network, firewall } = this.#fake;
    const apply = (change: Change) => this.#apply(change);
    this.features = features;
    const observeDevice: typeof wireguard.observe = async (device) => {
      const observed = await wireguard.observe(device);
      return observed && isHealthy ? withHandshakes(observed) : observed;
    };
    this.wireguard = { ...wireguard, observe: observeDevice, apply };
    const observe = async () => {
      await setImmediate(); // a real one answers later, too
      return network.observe();
    };
    this.network = { ...network, observe, apply, watch: silence };
    this.firewall = { ...firewall, apply };
  }

  get writes(): number {
    return this.#fake.writes;
  }

  async #apply(change: Change): Promise<void> {
    await applyChange(this.#fake, change);
    this.onWrite?.(nowMs());
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function withHandshakes(device: ObservedWireGuard): ObservedWireGuard {
  const lastHandshakeMs = Date.now();
  return { ...device, peers: device.peers.map((peer) => ({ ...peer, lastHandshakeMs })) };
}
