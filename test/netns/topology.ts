/**
 * @module Sites in network namespaces: gateways, each with an underlay and a LAN side, a LAN host behind them, NAT
 * routers, and an "internet" that joins them. Needs root; runs on any kernel with veth and bridges, WireGuard or not.
 *
 *     internet  br0 192.0.2.254/24, 2001:db8::fffe/64, and one bridge for each LAN; its ports are named like the nodes
 *     eu0, eu1  eth0 192.0.2.N/24, 2001:db8::N/64, default route to br0; lan 10.S.0.1, .2 and fd10:S::1, ::2
 *     euh       lan 10.S.0.100/24, fd10:S::100/64, a next hop for each gateway, chosen by flow
 *     plantr    the router of a site behind NAT (IPv4 only): its gateways' eth0 is 172.31.S.1, .2
 */
import { randomBytes } from "node:crypto";

import { executeOrThrow } from "../lab/execute.ts";
import { deleteNamespaces, listNamespaces, type Namespace, openNamespace } from "./namespace.ts";

export interface SiteSpec {
  /** At most 8 characters: devices are named after it. */
  readonly name: string;
  readonly gateways: number;
  readonly behindNat?: boolean;
}

export interface TopologySpec {
  readonly sites: readonly SiteSpec[];
  /** Further machines on the underlay, such as the hub's. */
  readonly machines?: readonly string[];
  /** Its namespaces are called NAME-eu0 and so on, and stay until they are deleted by name, also when this process ends. */
  readonly kept?: string;
}

export interface DualAddress {
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface Machine {
  readonly name: string;
  readonly namespace: Namespace;
  /** Of eth0; behind NAT the IPv6 one is on no link. */
  readonly underlay: DualAddress;
}

export interface GatewayMachine extends Machine {
  readonly ordinal: number;
  readonly lan: DualAddress;
}

export interface Site {
  readonly name: string;
  /** What the site may announce: its LAN, "10.1.0.0/24" and "fd10:1::/64". */
  readonly prefix: DualAddress;
  readonly gateways: readonly GatewayMachine[];
  readonly host: { readonly namespace: Namespace; readonly address: DualAddress };
  readonly router: Machine | undefined;
}

export interface Impairment {
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly lossPercent?: number;
  readonly rateMbit?: number;
}

export interface Topology extends AsyncDisposable {
  /** Where every underlay packet passes `br0`: the place to capture. */
  readonly internet: Namespace;
  /** Throws when there is none of that name. */
  site(name: string): Site;
  machine(name: string): Machine;
  addSite(spec: SiteSpec): Promise<Site>;
  addMachine(name: string): Promise<Machine>;
  /** Impairs what is sent towards a machine on the underlay ("eu0", "plantr"); an empty impairment ends it. */
  impair(towards: string, impairment: Impairment): Promise<void>;
}

const INTERNET: DualAddress = { ipv4: "192.0.2.254", ipv6: "2001:db8::fffe" };

/** Builds the topology; disposing of it deletes every namespace, and with them all that was made inside. */
export async function createTopology(spec: TopologySpec): Promise<Topology> {
  await deleteAbandoned();
  const prefix = `${spec.kept ?? `sw${process.pid}x${randomBytes(2).toString("hex")}`}-`;
  const opened = new Map<string, ReturnType<typeof openNamespace>>();
  const sites = new Map<string, Site>();
  const machines = new Map<string, Machine>();
  let underlayAddresses = 0;

  await executeOrThrow(["ip", "netns", "add", `${prefix}internet`]);
  const internet = open("internet");
  quieten(internet);
  await internet.ip(
    "link set lo up",
    "link add br0 type bridge mcast_snooping 0",
    `addr add ${INTERNET.ipv4}/24 dev br0`,
    `addr add ${INTERNET.ipv6}/64 dev br0 nodad`,
    "link set br0 up",
  );
  for (const site of spec.sites) await addSite(site);
  for (const name of spec.machines ?? []) await addMachine(name);

  return {
    internet,
    site: (name) => found(sites, name),
    machine: (name) => found(machines, name),
    addSite,
    addMachine,
    async impair(towards, impairment) {
      await internet.sh(`tc qdisc replace dev ${towards} root netem limit 20000 ${netem(impairment)}`);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...opened.values()].map((namespace) => namespace.close()));
      await deleteNamespaces([...opened.values()].map(({ name }) => name));
    },
  };

  async function addSite({ name, gateways: count, behindNat = false }: SiteSpec): Promise<Site> {
    const index = sites.size + 1;
    const names = Array.from({ length: count }, (_, ordinal) => `${name}${ordinal}`);
    const host = `${name}h`;
    const router = behindNat ? await addMachine(`${name}r`) : undefined;
    await addNamespaces([...names, host]);
    await internet.ip(
      ...names.map((node) => veth(node, "eth0", node)),
      ...[...names, host].map((node) => veth(node, "lan", `${node}l`)),
      ...(router === undefined ? [] : [veth(router.name, "inside", `${router.name}i`)]),
    );
    const outside = behindNat ? `in-${name}` : "br0";
    await internet.ip(
      `link add lan-${name} type bridge mcast_snooping 0`,
      `link set lan-${name} up`,
      ...[...names, host].map((node) => `link set ${node}l master lan-${name} up`),
      ...(behindNat ? [`link add in-${name} type bridge mcast_snooping 0`, `link set in-${name} up`] : []),
      ...(behindNat ? [`link set ${name}ri master in-${name} up`] : []),
      ...names.map((node) => `link set ${node} master ${outside} up`),
    );
    if (router !== undefined) await masquerade(router, index);

    const gateways = await Promise.all(
      names.map((node, ordinal) => {
        const underlay = behindNat ? insideAddress(index, ordinal) : nextUnderlay();
        const via = behindNat ? { ipv4: `172.31.${index}.254`, ipv6: `2001:db8:31:${index}::fffe` } : INTERNET;
        return makeGateway({ name: node, ordinal, underlay, via, lan: lanAddress(index, ordinal + 1) });
      }),
    );
    for (const gateway of gateways) machines.set(gateway.name, gateway);
    const site: Site = {
      name,
      prefix: { ipv4: `10.${index}.0.0/24`, ipv6: `fd10:${index}::/64` },
      gateways,
      host: await makeHost(host, index, gateways),
      router,
    };
    sites.set(name, site);
    return site;
  }

  async function addMachine(name: string): Promise<Machine> {
    await addNamespaces([name]);
    await internet.ip(veth(name, "eth0", name));
    await internet.ip(`link set ${name} master br0 up`);
    const machine = { name, namespace: open(name), underlay: nextUnderlay() };
    quieten(machine.namespace);
    await machine.namespace.ip("link set lo up", ...uplink(machine.underlay, INTERNET));
    machines.set(name, machine);
    return machine;
  }

  async function makeGateway(given: Omit<GatewayMachine, "namespace"> & { via: DualAddress }): Promise<GatewayMachine> {
    const { via, ...gateway } = given;
    const namespace = open(gateway.name);
    quieten(namespace);
    // The strictest host there is: what a gateway's own devices need, they must be given.
    namespace.sysctl({ "ipv4/conf/all/rp_filter": 1, "ipv4/conf/default/rp_filter": 1 });
    await namespace.ip(
      "link set lo up",
      `addr add ${gateway.lan.ipv4}/24 dev lan`,
      `addr add ${gateway.lan.ipv6}/64 dev lan nodad`,
      "link set lan up",
      ...uplink(gateway.underlay, via),
    );
    return { ...gateway, namespace };
  }

  async function makeHost(name: string, index: number, gateways: readonly GatewayMachine[]): Promise<Site["host"]> {
    const namespace = open(name);
    quieten(namespace);
    namespace.sysctl({ "ipv4/fib_multipath_hash_policy": 1, "ipv6/fib_multipath_hash_policy": 1 });
    const address = { ipv4: `10.${index}.0.100`, ipv6: `fd10:${index}::100` };
    const hops = (family: keyof DualAddress) => gateways.map(({ lan }) => `nexthop via ${lan[family]}`).join(" ");
    await namespace.ip(
      "link set lo up",
      `addr add ${address.ipv4}/24 dev lan`,
      `addr add ${address.ipv6}/64 dev lan nodad`,
      "link set lan up",
      ...(gateways.length === 0 ? [] : [`route add 0.0.0.0/0 ${hops("ipv4")}`, `route add ::/0 ${hops("ipv6")}`]),
    );
    return { namespace, address };
  }

  async function masquerade(router: Machine, index: number): Promise<void> {
    router.namespace.sysctl({ "ipv4/ip_forward": 1 });
    await router.namespace.ip(`addr add 172.31.${index}.254/24 dev inside`, "link set inside up");
    await router.namespace.sh(`nft -f - <<'END'
table ip nat {
  chain post {
    type nat hook postrouting priority 100
    oifname "eth0" masquerade
  }
}
END`);
  }

  function open(name: string): Namespace {
    const namespace = openNamespace(`${prefix}${name}`);
    opened.set(name, namespace);
    return namespace;
  }

  async function addNamespaces(names: readonly string[]): Promise<void> {
    const input = names.map((name) => `netns add ${prefix}${name}\n`).join("");
    await executeOrThrow(["ip", "-batch", "-"], { input });
  }

  /**
   * To be made in the internet: a kernel (6.1) takes a name of the namespace it is asked in for taken, although the
   * device goes to another, and this process may have moved to a machine that has an eth0.
   */
  function veth(node: string, device: string, port: string): string {
    return `link add ${device} netns ${prefix}${node} type veth peer name ${port} netns ${prefix}internet`;
  }

  function nextUnderlay(): DualAddress {
    const index = ++underlayAddresses;
    return { ipv4: `192.0.2.${index}`, ipv6: `2001:db8::${index}` };
  }
}

/** No duplicate address detection: it takes a second, in which an address cannot be used. */
function quieten(namespace: Namespace): void {
  namespace.sysctl({ "ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_dad": 0 });
}

function uplink({ ipv4, ipv6 }: DualAddress, via: DualAddress): string[] {
  return [
    `addr add ${ipv4}/24 dev eth0`,
    `addr add ${ipv6}/64 dev eth0 nodad`,
    "link set eth0 up",
    `route add default via ${via.ipv4}`,
    `route add ::/0 via ${via.ipv6}`,
  ];
}

function lanAddress(index: number, host: number): DualAddress {
  return { ipv4: `10.${index}.0.${host}`, ipv6: `fd10:${index}::${host}` };
}

function insideAddress(index: number, ordinal: number): DualAddress {
  return { ipv4: `172.31.${index}.${ordinal + 1}`, ipv6: `2001:db8:31:${index}::${ordinal + 1}` };
}

function netem({ delayMs = 0, jitterMs = 0, lossPercent = 0, rateMbit }: Impairment): string {
  const delay = delayMs > 0 ? `delay ${delayMs}ms ${jitterMs}ms ` : "";
  return `${delay}loss ${lossPercent}%${rateMbit === undefined ? "" : ` rate ${rateMbit}mbit`}`;
}

function found<T>(things: ReadonlyMap<string, T>, name: string): T {
  const thing = things.get(name);
  if (thing === undefined) throw new Error(`topology: no "${name}"; there are: ${[...things.keys()].join(", ")}`);
  return thing;
}

/** Deletes what a killed test run left behind. */
async function deleteAbandoned(): Promise<void> {
  const names = await listNamespaces();
  await deleteNamespaces(
    names.filter((name) => {
      const pid = /^sw(\d+)x[0-9a-f]{4}-/.exec(name)?.[1];
      return pid !== undefined && !isAlive(Number(pid));
    }),
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
