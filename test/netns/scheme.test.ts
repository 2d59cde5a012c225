/**
 * The addressing and nexthop scheme on two sites of two gateways each; IPv4 and IPv6 inside, IPv4 outside.
 * What was seen: decision record 0002 of services/core/desired.
 */
import { setTimeout as delay } from "node:timers/promises";
import { laneName } from "@spanwire/core/desired/lane";
import { gatewayNexthopId, groupNexthopId } from "@spanwire/core/desired/nexthop-id";
import { afterAll, beforeAll, expect, test } from "vitest";

import { watchClearText } from "./clear-text.ts";
import { repeats } from "./config.ts";
import { countConnects, listenIn } from "./connect.ts";
import type { Namespace } from "./namespace.ts";
import { FAMILIES, hostPrefix, overlayText, planeAddress, routeLine } from "./scheme-text.ts";
import { lostIn, otherPlane, say, startTrial, type Trial } from "./scheme-trial.ts";

const ROTATIONS = repeats(3);
const DRAINS = repeats(2);
/** All at once: those that get no answer cost the time once. */
const CONNECTS = { attempts: 40, timeoutMs: 5000 };
/** Ends before the first SYN is sent again. */
const CONTROLS = { ...CONNECTS, timeoutMs: 900 };
const CLEAN = { lost: 0, duplicated: 0 };

let trial: Trial;

beforeAll(async () => {
  trial = await startTrial({
    sites: ["eu", "us"].map((name) => ({ name, gateways: 2 })),
    maxGateways: 2,
    underlay: "ipv4",
    lanFlows: { count: 8, packetsPerSecond: 30 },
    stableFlows: { count: 1, packetsPerSecond: 10 },
  });
});
afterAll(() => trial?.[Symbol.asyncDispose]());

test("at rest nothing is lost, and every tunnel of the plane in use carries packets both ways", async () => {
  expect(await trial.measure("control", () => delay(10_000))).toMatchObject(CLEAN);
  const peers = await trial.peersInUse();
  expect(peers).toHaveLength(8);
  for (const { of, lane, rxBytes, txBytes } of peers) {
    expect(Math.min(rxBytes, txBytes), `${of} ${lane}`).toBeGreaterThan(10_000);
  }
});

test("a gateway's own addresses lead to it; by the group they would not", async () => {
  const [us0, eu1] = [trial.gateway("us", 0), trial.gateway("eu", 1)];
  for (const family of FAMILIES) {
    const source = { namespace: us0.machine.namespace, address: overlayText(us0.cluster, "stable", 0, family) };
    const target = { namespace: eu1.machine.namespace, address: overlayText(eu1.cluster, "stable", 1, family) };
    using _listener = listenIn(target, 7001);
    const count = (how: typeof CONNECTS) => countConnects(source, { ...target, port: 7001 }, how);
    expect(await count(CONNECTS)).toBe(CONNECTS.attempts);

    const route = (nexthopId: number) => routeLine(us0, hostPrefix(target.address), nexthopId, family);
    await source.namespace.ip(route(groupNexthopId(eu1.cluster.block, family)));
    const grouped = await count(CONTROLS);
    await source.namespace.ip(route(gatewayNexthopId(eu1.cluster.block, 1, family)));
    say(`${family}: a gateway's stable address by the group: ${grouped} of ${CONNECTS.attempts} connect`);
    expect(grouped).toBeLessThan(CONNECTS.attempts);
    expect(await count(CONNECTS)).toBe(CONNECTS.attempts);
  }
});

test("a policy without connection tracking lets answers come back by another gateway, one with it does not", async () => {
  for (const family of FAMILIES) {
    const [eu, us] = [trial.hostEnd("eu", family), trial.hostEnd("us", family)];
    using _server = listenIn(eu, 7001);
    using _forbidden = listenIn(us, 7001);
    expect(await countConnects(us, { ...eu, port: 7001 }, CONNECTS)).toBe(CONNECTS.attempts);
    expect(await countConnects(eu, { ...us, port: 7001 }, CONTROLS)).toBe(0);

    await eachGateway("eu", (namespace) =>
      namespace.sh("nft insert rule inet spanwire policy_forward ct state invalid,untracked drop"),
    );
    const tracked = await countConnects(us, { ...eu, port: 7001 }, CONTROLS);
    await eachGateway("eu", deleteFirstRule);
    say(`${family}: a policy with connection tracking: ${tracked} of ${CONNECTS.attempts} connect`);
    expect(tracked).toBeLessThan(CONNECTS.attempts);
  }
});

test(`${ROTATIONS} rotations, every gateway and remote flipping at its own moment, lose nothing`, async () => {
  const account = await trial.measure(`${ROTATIONS} rotations`, async () => {
    for (let rotation = 0; rotation < ROTATIONS; rotation++) await trial.rotate();
  });
  expect(account).toMatchObject(CLEAN);
});

test("a state in which one gateway has flipped and no other may last", async () => {
  const { scheme, active } = trial;
  const first = trial.gateway("eu", 0);
  await scheme.open(otherPlane(active));
  const account = await trial.measure("half flipped", async () => {
    for (const { ordinal } of trial.cluster("us").site.gateways) {
      await scheme.flip(first, trial.cluster("us"), ordinal, otherPlane(active));
    }
    await delay(8000);
  });
  await scheme.flipAll(active, trial.random, 0);
  expect(account).toMatchObject(CLEAN);
});

test.each([
  "resilient",
  "hash-threshold",
] as const)(`${DRAINS} drains and returns lose nothing: %s groups`, async (kind) => {
  const us = trial.cluster("us");
  const account = await trial.measure(`${DRAINS} drains, ${kind}`, async () => {
    await trial.scheme.setGroupKind(kind);
    for (let round = 0; round < DRAINS; round++) {
      await trial.scheme.setMembers(us, [0]);
      await routeHostBy("us", [0]);
      await delay(1000);
      await routeHostBy("us", [0, 1]);
      await trial.scheme.setMembers(us, [0, 1]);
      await delay(1000);
    }
  });
  expect(account).toMatchObject(CLEAN);
});

test("positive control: on lanes without an IPv4 address rotations lose IPv4 packets, and no IPv6 packets", async () => {
  await setLaneAddresses("del");
  const account = await trial.measure("2 rotations, lanes without an IPv4 address", async () => {
    await trial.rotate();
    await trial.rotate();
  });
  await setLaneAddresses("add");
  expect(lostIn(account, "ipv4")).toBeGreaterThan(0);
  expect(lostIn(account, "ipv6")).toBe(0);
});

test("a device whose forwarding is off forwards nothing that comes in by it: the LAN's needs it as the lanes do", async () => {
  const { namespace } = trial.gateway("us", 0).machine;
  expect(await namespace.sh("cat /proc/sys/net/ipv4/ip_forward")).toBe("0\n");
  // At both gateways: which of them takes a flow is up to its ports.
  const setLan = (forwarding: 0 | 1) => {
    for (const ordinal of [0, 1])
      trial.gateway("us", ordinal).machine.namespace.sysctl({ "ipv4/conf/lan/forwarding": forwarding });
  };
  setLan(0);
  const account = await trial.measure("forwarding of a site's LAN devices off", () => delay(2000));
  setLan(1);
  const lossy = account.flows.filter(({ lost }) => lost > 0).map(({ spec }) => spec.from.address);
  expect(new Set(lossy)).toEqual(new Set([trial.hostEnd("us", "ipv4").address]));

  // Another program that switches forwarding off and on for the machine switches it for every device.
  namespace.sysctl({ "ipv4/ip_forward": 1 });
  namespace.sysctl({ "ipv4/ip_forward": 0 });
  expect(await namespace.sh(`cat /proc/sys/net/ipv4/conf/${laneName(trial.active, 0)}/forwarding`)).toBe("0\n");
  namespace.sysctl({ "ipv4/ip_forward": 1 });
  expect(await trial.measure("forwarding of the machine on", () => delay(2000))).toMatchObject(CLEAN);
});

test("with the lanes deleted by hand nothing leaves in clear while guard or blackholes stand; without both it does", async () => {
  const { namespace } = trial.gateway("eu", 0).machine;
  const watch = await watchClearText(
    trial.topology,
    trial.scheme.gateways.map(({ machine }) => machine),
  );
  const phase = (name: string) => trial.measure(name, () => delay(3000), { lateMs: 0 });

  await namespace.ip(...[0, 1].map((lane) => `link del ${laneName(trial.active, lane)}`));
  expect((await phase("lanes deleted")).lost).toBeGreaterThan(0);
  expect(await namespace.sh("ip nexthop; ip route show table 5180; ip -6 route show table 5180")).not.toContain("nhid");
  expect(await watch.count()).toEqual({ ipv4: 0, ipv6: 0 });

  await namespace.sh("nft flush ruleset");
  await phase("lanes deleted, no nft guard");
  expect(await watch.count()).toEqual({ ipv4: 0, ipv6: 0 });

  await namespace.ip("route flush type blackhole table 5180");
  await namespace.ip6("route flush type blackhole table 5180");
  await phase("lanes deleted, neither guard nor blackholes");
  const clear = await watch.count();
  say(`in clear: ${clear.ipv4} IPv4 and ${clear.ipv6} IPv6 packets`);
  expect(clear.ipv4).toBeGreaterThan(0);
  expect(clear.ipv6).toBeGreaterThan(0);
});

async function eachGateway(site: string, act: (namespace: Namespace) => Promise<unknown>): Promise<void> {
  await Promise.all(trial.topology.site(site).gateways.map(({ namespace }) => act(namespace)));
}

async function deleteFirstRule(namespace: Namespace): Promise<void> {
  const rules = await namespace.sh("nft -a list chain inet spanwire policy_forward");
  await namespace.sh(
    `nft delete rule inet spanwire policy_forward handle ${/ct state.*# handle (\d+)/.exec(rules)?.[1]}`,
  );
}

async function routeHostBy(site: string, ordinals: readonly number[]): Promise<void> {
  const { gateways, host } = trial.topology.site(site);
  const hops = (family: "ipv4" | "ipv6") =>
    ordinals.flatMap((ordinal) => gateways[ordinal] ?? []).map(({ lan }) => `nexthop via ${lan[family]}`);
  await host.namespace.ip(
    `route replace 0.0.0.0/0 ${hops("ipv4").join(" ")}`,
    `route replace ::/0 ${hops("ipv6").join(" ")}`,
  );
}

/** The addresses stay on the machine (on sw0), so that routes with them as source stay too: only the lanes lose them. */
async function setLaneAddresses(verb: "add" | "del"): Promise<void> {
  await Promise.all(
    trial.scheme.gateways.map(({ cluster, machine: { namespace, ordinal } }) => {
      const lines = (["a", "b"] as const).flatMap((plane) => {
        const address = `${planeAddress(cluster, ordinal, plane, "ipv4")}/32`;
        const onLanes = [0, 1].map((lane) => `addr ${verb} ${address} dev ${laneName(plane, lane)}`);
        return verb === "del"
          ? [`addr add ${address} dev sw0`, ...onLanes]
          : [...onLanes, `addr del ${address} dev sw0`];
      });
      return namespace.ip(...lines);
    }),
  );
}
