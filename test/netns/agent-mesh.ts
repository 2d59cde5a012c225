/** @module Real agents on the gateways of a topology, in this process: real kernel, real NATS, a model of the hub. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { connect } from "@nats-io/transport-node";
import type { Signer } from "@spanwire/core/records/crypto";
import { parseUpSubject } from "@spanwire/core/subjects";
import { startModelRelay } from "@spanwire/gateway/subscription/model-relay";
import { createTestMesh, type TestMesh } from "@spanwire/gateway/testing";
import { type GatewayStatus, GatewayStatusSchema } from "@spanwire/proto/agent";
import { startNats } from "../lab/nats.ts";
import { type AgentOfGateway, type GatewaySettings, startAgent } from "./agent-of-gateway.ts";
import type { Site } from "./topology.ts";

export interface AgentMesh extends AsyncDisposable {
  /** What the name server of every gateway answers. */
  readonly names: Map<string, readonly string[]>;
  readonly mesh: TestMesh;
  /**
   * Admits a cluster with the site's LAN as its prefixes and starts the agent of its one gateway. A site's further
   * gateways come after the first, by ordinal.
   */
  join(site: Site, settings: GatewaySettings, ordinal?: number): Promise<AgentOfGateway>;
  /** Hub and NATS are gone, for good. */
  endHub(): Promise<void>;
  /** Writes the link policy anew. */
  link(policy: Parameters<TestMesh["link"]>[0]): Promise<void>;
  /** The last status that a cluster's gateway reported. */
  status(cluster: string): GatewayStatus | undefined;
}

const HEAD_MS = 1_000;

export async function createAgentMesh(): Promise<AgentMesh> {
  await using building = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-agents-"));
  building.defer(() => rm(directory, { recursive: true, force: true }));
  const server = building.use(await startNats({ jetstream: false }));
  const mesh = await createTestMesh();
  const nats = await connect({ servers: server.url });
  building.defer(() => nats.close());
  const relay = startModelRelay(nats, () => mesh.hub);
  const heads = setInterval(() => void relay.head(), HEAD_MS);
  building.defer(() => clearInterval(heads));
  const statuses = new Map<string, GatewayStatus>();
  nats.subscribe("sw.v1.up.*.*.status", {
    callback: (_, { subject, data }) =>
      void statuses.set(parseUpSubject(subject)?.clusterId ?? "", fromBinary(GatewayStatusSchema, data)),
  });
  const admitted = new Map<string, readonly Signer[]>();
  const names = new Map<string, readonly string[]>();

  const resources = building.move();
  return {
    names,
    mesh,
    async join(site, settings, ordinal = 0) {
      const machine = site.gateways[ordinal];
      if (machine === undefined) throw new Error(`${site.name} has no gateway ${ordinal}`);
      const agent = await startAgent({
        ...{ machine, cluster: site.name, settings },
        stateDirectory: join(directory, machine.name),
        async admitted(signer) {
          const signers = [...(admitted.get(site.name) ?? []), signer];
          admitted.set(site.name, signers);
          await mesh.admit(site.name, signers, relay.write, [site.prefix.ipv4, site.prefix.ipv6]);
        },
        membership: () => mesh.membership(site.name, ordinal, server.url),
        async resolve(host) {
          const addresses = names.get(host);
          if (addresses === undefined) throw new Error(`queryA ENOTFOUND ${host}`);
          return addresses;
        },
      });
      return resources.use(agent);
    },
    async endHub() {
      clearInterval(heads);
      await server.kill();
    },
    link: (policy) => mesh.link(policy, relay.write),
    status: (cluster) => statuses.get(cluster),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
