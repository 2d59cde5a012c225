/**
 * @module Four sites that reach each other in different ways, each with an agent of one mesh.
 *
 *     eu     on the internet, says so with its IPv6 address and its IPv4 address
 *     us     on the internet, says so with a name that gets an IPv4 address; does not carry IPv6
 *     plant  behind NAT, without an IPv6 route to the internet
 *     farm   behind NAT, with an IPv6 route that leads nowhere; encrypts in userspace
 */
import type { Condition } from "@spanwire/proto/agent";
import { Direction, Protocol } from "@spanwire/proto/record";
import { eventually } from "../demo/eventually.ts";
import { type AgentMesh, createAgentMesh } from "./agent-mesh.ts";
import type { AgentOfGateway } from "./agent-of-gateway.ts";
import { type ClearTextWatch, watchClearText } from "./clear-text.ts";
import { createTopology, type GatewayMachine, type Machine, type Site, type Topology } from "./topology.ts";

const SITES = [
  { name: "eu", gateways: 1 },
  { name: "us", gateways: 1 },
  { name: "plant", gateways: 1, behindNat: true },
  { name: "farm", gateways: 1, behindNat: true },
] as const;
export type Name = (typeof SITES)[number]["name"];
export type Pair = readonly [Name, Name];

/** All pairs but plant and farm: at least one side of each can be dialled. */
export const DIALLED: readonly Pair[] = [
  ["plant", "eu"],
  ["plant", "us"],
  ["farm", "eu"],
  ["farm", "us"],
  ["us", "eu"],
];
export const US_NAME = "us.example";
/** A network behind us that the mesh does not know: its hosts are translated. */
export const HIDDEN = "10.99.0.0/24";
/** What the link policy says from the start: pings both ways, and one TCP port that us may open at eu. */
export const EU_TO_US = {
  name: "eu-us",
  left: { clusters: ["eu"] },
  right: { clusters: ["us"] },
  allow: [
    { direction: Direction.BOTH, protocol: Protocol.ICMP },
    { direction: Direction.RIGHT_TO_LEFT, protocol: Protocol.TCP, ports: [{ first: 7001, last: 7001 }] },
  ],
};

export interface ReachTrial extends AsyncDisposable {
  readonly mesh: AgentMesh;
  readonly clear: ClearTextWatch;
  /** What left in clear while there was no agent yet: packets between us and eu, of both families. */
  readonly control: Awaited<ReturnType<ClearTextWatch["count"]>>;
  site(name: Name): Site;
  gateway(name: Name): GatewayMachine;
  router(name: Name): Machine;
  agent(name: Name): AgentOfGateway;
  /** The endpoint by which the kernel of one site's gateway reaches another's. */
  endpoint(at: Name, of: Name): Promise<string | undefined>;
  /** Of the last status. */
  conditions(name: Name): readonly Condition[];
  /** Whether a ping from one site's LAN host to another's is answered. */
  pings(from: Name, to: Name, family?: "ipv4" | "ipv6"): Promise<boolean>;
  /** Waits until the LAN hosts of each pair answer each other's pings, all at the same time; prints what it took. */
  untilReached(pairs: readonly Pair[], family?: "ipv4" | "ipv6"): Promise<void>;
  /** Waits until each agent has looked at its kernel twice. */
  twoLooks(): Promise<void>;
  /** What these agents tried to write during the action. */
  writes(names: readonly Name[], action: () => Promise<unknown>): Promise<readonly string[]>;
}

/** Of which a quiet machine needs a tenth. */
const PATIENCE = { timeoutMs: 180_000 };

export const ALL = SITES.map(({ name }) => name);

export async function startReachTrial(): Promise<ReachTrial> {
  await using building = new AsyncDisposableStack();
  const topology = building.use(await createTopology({ sites: SITES }));
  const gateway = (name: Name) => gatewayOf(topology, name);
  for (const name of ALL)
    gateway(name).namespace.sysctl({ "ipv4/conf/lan/forwarding": 1, "ipv6/conf/all/forwarding": 1 });
  await gateway("plant").namespace.ip6("route del default");
  const clear = await watchClearText(topology, ALL.map(gateway));
  await Promise.all([pings("us", "eu"), pings("us", "eu", "ipv6")]);
  const control = await clear.count();

  const mesh = building.use(await createAgentMesh());
  await mesh.link({ links: [EU_TO_US] });
  const agents = new Map<Name, AgentOfGateway>();
  const join = async (name: Name, settings: Parameters<AgentMesh["join"]>[1]) =>
    agents.set(name, await mesh.join(topology.site(name), settings));
  const { ipv4, ipv6 } = gateway("eu").underlay;
  await Promise.all([
    join("eu", { endpoints: [ipv6, ipv4].map((host) => ({ host, basePort: 51820 })) }),
    join("us", { endpoints: [{ host: US_NAME, basePort: 51820 }], ipv6: "guarded", snat: [HIDDEN] }),
    join("plant", {}),
    join("farm", { dataplane: "userspace" }),
  ]);
  const resources = building.move();

  return {
    mesh,
    clear,
    control,
    site: (name) => topology.site(name),
    gateway,
    router: (name) => topology.machine(`${name}r`),
    agent,
    endpoint: async (at, of) => (await agent(at).peer(agent(of)))?.endpoint,
    conditions: (name) => mesh.status(name)?.conditions ?? [],
    pings,
    async untilReached(pairs, family) {
      const started = performance.now();
      const ways = pairs.flatMap(([a, b]): Pair[] => [
        [a, b],
        [b, a],
      ]);
      await eventually(
        `pings between ${pairs.map((pair) => pair.join(" and ")).join(", ")}`,
        async () => {
          const answered = await Promise.all(ways.map(([from, to]) => pings(from, to, family)));
          return answered.every((each) => each);
        },
        PATIENCE,
      );
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      process.stderr.write(`${pairs.map((pair) => pair.join("~")).join(" ")}: reached after ${seconds} s\n`);
    },
    async twoLooks() {
      const before = [...agents.values()].map(({ looks }) => looks + 2);
      await eventually("two looks", () => [...agents.values()].every(({ looks }, i) => looks >= (before[i] ?? 0)));
    },
    async writes(names, action) {
      const before = names.map((name) => agent(name).writes.length);
      await action();
      return names.flatMap((name, i) =>
        agent(name)
          .writes.slice(before[i])
          .map(({ kind }) => `${name}: ${kind}`),
      );
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };

  function agent(name: Name): AgentOfGateway {
    const found = agents.get(name);
    if (found === undefined) throw new Error(`${name} has not joined`);
    return found;
  }

  async function pings(from: Name, to: Name, family: "ipv4" | "ipv6" = "ipv4"): Promise<boolean> {
    const address = topology.site(to).host.address[family];
    const said = await topology.site(from).host.namespace.sh(`ping -n -q -c 1 -W 1 ${address} || true`);
    return said.includes(" 1 received");
  }
}

function gatewayOf(topology: Topology, name: Name): GatewayMachine {
  const [machine] = topology.site(name).gateways;
  if (machine === undefined) throw new Error(`${name} has no gateway`);
  return machine;
}
