/** @module A gateway of the demo's mesh as chaos sees it: what its real kernel lacks, and what its agent says of itself. */
import { join } from "node:path";
import {
  DEFAULT_BASE_PORT,
  DEFAULT_MTU_BYTES,
  DEFAULT_RESILIENT_BUCKETS,
  DEFAULT_ROUTING,
} from "@spanwire/core/desired/local-facts";
import type { RecordMap } from "@spanwire/core/records/record-map";
import { networkFacts } from "@spanwire/gateway/dataplane/local-networks";
import { Reconciler } from "@spanwire/gateway/dataplane/reconcile";
import { ensureEpochKey } from "@spanwire/gateway/identity/wireguard-keys";
import type { Change } from "@spanwire/gateway/kernel/change";
import { openKernel } from "@spanwire/gateway/kernel/open-kernel";
import type { Kernel } from "@spanwire/gateway/kernel/port";
import { Planner } from "@spanwire/gateway/planner";
import type { GatewayMachine, Site } from "./topology.ts";

export interface ChaosKernel extends AsyncDisposable {
  /** The changes that would bring the kernel to this map; writes nothing. */
  lacking(map: RecordMap): Promise<readonly Change[]>;
  /** "sw-a0 7", sorted: a device that was made anew has another number. */
  devices(): Promise<readonly string[]>;
  /** Of the agent that runs now. Undefined while none does. */
  counts(): Promise<{ readonly reconciles: number; readonly writes: number } | undefined>;
}

export interface ChaosKernelOptions {
  readonly site: Site;
  readonly machine: GatewayMachine;
  /** Of the agent's state. */
  readonly directory: string;
  /** Of hub and NATS. */
  readonly hubAddress: string;
}

export const METRICS_PORT = 9_464;

export function openChaosKernel({ site, machine, directory, hubAddress }: ChaosKernelOptions): ChaosKernel {
  const { namespace, ordinal } = machine;
  const kernel = openKernel({ dataplane: { kind: "kernel" }, netns: `/run/netns/${namespace.name}` });
  const settings = {
    basePort: DEFAULT_BASE_PORT,
    mtuBytes: DEFAULT_MTU_BYTES,
    ipv6: "routed",
    snat: [],
    resilientBuckets: kernel.features.resilientGroups ? DEFAULT_RESILIENT_BUCKETS : undefined,
    routing: DEFAULT_ROUTING,
  } as const;

  return {
    async lacking(map) {
      const planner = new Planner(map, { clusterId: site.name, ordinal }, settings);
      const key = await ensureEpochKey(join(directory, machine.name), map.epoch?.active ?? 0n);
      planner.observe({ keys: [key], control: [hubAddress], ...networkFacts(await kernel.network.host()) });
      const planned = planner.plan("all");
      if (planned === undefined) throw new Error("the hub's map lacks mesh, epoch or link policy");
      const { done } = await new Reconciler(withoutWrites(kernel)).full(() => planned.compiled.desired);
      return done;
    },
    async devices() {
      const links = await namespace.sh("ip -o link show");
      return [...links.matchAll(/^(\d+): (sw[^:@ ]*)/gm)].map(([, index, name]) => `${name} ${index}`).sort();
    },
    async counts() {
      const request = "printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
      const ask = `bash -c "exec 3<>/dev/tcp/127.0.0.1/${METRICS_PORT}; ${request}"`;
      const text = await namespace.sh(ask).catch(() => "");
      const [reconciles, writes] = ["reconciles", "kernel_writes"].map((name) =>
        Number(new RegExp(`^spanwire_agent_${name}(?:\\{\\})? (\\d+)`, "m").exec(text)?.[1] ?? Number.NaN),
      );
      if (reconciles === undefined || writes === undefined || Number.isNaN(reconciles + writes)) return undefined;
      return { reconciles, writes };
    },
    [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
  };
}

function withoutWrites({ features, wireguard, network, firewall }: Kernel): Kernel {
  const apply = async () => {};
  return {
    features,
    wireguard: { ...wireguard, apply },
    network: { ...network, apply },
    firewall: { ...firewall, apply },
    [Symbol.asyncDispose]: async () => {},
  };
}
