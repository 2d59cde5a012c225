/** @module A kernel in memory that behaves: for unit tests, simulations and benchmarks of everything above this folder. */
import type { Firewall } from "@spanwire/core/desired/state";
import { type Change, isFirewallChange, isWireGuardChange } from "../change.ts";
import { type KernelFeatures, kernelFeatures } from "../features.ts";
import { kernelError } from "../kernel-error.ts";
import { firewallDigest } from "../nft/digest.ts";
import type {
  FirewallPort,
  ForeignChain,
  Forwarded,
  HostNetwork,
  Kernel,
  NetworkPort,
  ObservedFirewall,
  WireGuardPort,
} from "../port.ts";
import { applyNetworkChange, observeNetwork, ownPart } from "./network.ts";
import { printState } from "./print.ts";
import { emptyState, type FakePeer, type FakeState, NOTHING_FORWARDED } from "./state.ts";
import { applyWireGuardChange, observeDevice } from "./wireguard.ts";

export class FakeKernel implements Kernel {
  /** Changes applied through the ports, failed ones included: what must stay 0 at rest. */
  writes = 0;
  /** Returns the sentence with which the kernel refuses this change, or undefined. */
  refuse: (change: Change) => string | undefined = () => undefined;

  readonly features: KernelFeatures;
  readonly wireguard: WireGuardPort;
  readonly network: NetworkPort;
  readonly firewall: FirewallPort;
  readonly #state: FakeState = emptyState();
  readonly #watchers = new Set<() => void>();
  #seal: { readonly of: Firewall; readonly digest: string } | undefined;

  /** By default a kernel that can do everything. */
  constructor(features: KernelFeatures = kernelFeatures("7.0")) {
    this.features = features;
    const state = this.#state;
    const apply = async (change: Change) => this.#write(change);
    this.wireguard = { observe: async (name) => observeDevice(state, name), apply };
    this.network = {
      observe: async () => ownPart(observeNetwork(state)),
      host: async () => state.host,
      watch: (signal) => this.#watch(signal),
      apply,
    };
    this.firewall = {
      observe: async () => this.#observeFirewall(),
      counters: async () => new Map(state.counters),
      forwarded: async () => (state.firewall === undefined ? undefined : state.forwarded),
      foreignChains: async () => state.foreignChains,
      apply,
    };
  }

  /** Does what another program or an operator might: not counted, never refused. */
  byHand(change: Change): void {
    this.#perform(change);
  }

  /** What packets do to a peer: handshakes, roaming, traffic. */
  touchPeer(
    device: string,
    publicKey: string,
    what: Partial<Pick<FakePeer, "endpoint" | "lastHandshakeMs" | "rxBytes" | "txBytes">>,
  ): void {
    const peer = this.#state.links.get(device)?.device?.peers.get(publicKey);
    if (peer === undefined) throw kernelError(`touch peer ${publicKey} of ${device}`, "ENOENT", "no such peer");
    Object.assign(peer, what);
  }

  /** Gives the host other networks; what is not named stays as it is. */
  setHost(host: Partial<HostNetwork>): void {
    this.#state.host = { ...this.#state.host, ...host };
    this.#notify();
  }

  /** Somebody edits our table by hand. */
  alterFirewall(difference: string): void {
    this.#state.firewall = { altered: difference };
    this.#notify();
  }

  setCounter(name: string, packets: number, bytes: number): void {
    this.#state.counters.set(name, { packets, bytes });
  }

  /** What packets have met with on the forward hook. */
  setForwarded(forwarded: Forwarded): void {
    this.#state.forwarded = forwarded;
  }

  /** Another program loads its firewall. */
  setForeignChains(chains: readonly ForeignChain[]): void {
    this.#state.foreignChains = chains;
    this.#notify();
  }

  /** Everything it holds, sorted, in the words of `ip`, `wg` and `nft`. */
  toString(): string {
    return printState(this.#state);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #write(change: Change): void {
    this.writes += 1;
    const refusal = this.refuse(change);
    if (refusal !== undefined) throw kernelError(change, "EINVAL", refusal);
    this.#perform(change);
  }

  #perform(change: Change): void {
    perform(this.#state, change);
    // Devices' keys and peers are generic netlink's, of which rtnetlink says nothing.
    const isLink = change.kind === "add-wireguard-link" || change.kind === "remove-wireguard-link";
    if (isLink || !isWireGuardChange(change)) this.#notify();
  }

  #observeFirewall(): ObservedFirewall {
    const { firewall } = this.#state;
    if (firewall === undefined) return { kind: "absent" };
    if ("altered" in firewall) return { kind: "altered", difference: firewall.altered };
    // As the real table, it carries the digest of what was written: looking at it renders nothing.
    if (this.#seal?.of !== firewall) this.#seal = { of: firewall, digest: firewallDigest(firewall) };
    return { kind: "present", digest: this.#seal.digest };
  }

  #notify(): void {
    for (const wake of this.#watchers) wake();
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<void> {
    let dirty = true;
    let wake = () => {};
    const notify = () => {
      dirty = true;
      wake();
    };
    this.#watchers.add(notify);
    signal.addEventListener("abort", notify);
    try {
      while (!signal.aborted) {
        if (dirty) {
          dirty = false;
          yield;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#watchers.delete(notify);
      signal.removeEventListener("abort", notify);
    }
  }
}

function perform(state: FakeState, change: Change): void {
  if (isWireGuardChange(change)) applyWireGuardChange(state, change);
  else if (!isFirewallChange(change)) applyNetworkChange(state, change);
  else if (change.kind === "replace-firewall") state.firewall = change.firewall;
  else {
    state.firewall = undefined;
    state.counters.clear();
    state.forwarded = NOTHING_FORWARDED;
  }
}
