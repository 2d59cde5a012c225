import { Dataplane } from "@spanwire/proto/record";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../demo/eventually.ts";
import { countConnects, listenIn } from "./connect.ts";
import { ALL, DIALLED, EU_TO_US, HIDDEN, type Name, type ReachTrial, startReachTrial, US_NAME } from "./reach-trial.ts";
import { beginConnect, closeSocket, openUdp, segmentBytesOf } from "./sockets.ts";

const INTERNET = { ipv4: "192.0.2.254", ipv6: "2001:db8::fffe" };

let trial: ReachTrial;
beforeAll(async () => {
  trial = await startReachTrial();
});
afterAll(() => trial?.[Symbol.asyncDispose]());

test("every pair with a side that can be dialled passes packets, by the first listed endpoint that leads there", async () => {
  await trial.untilReached([["us", "eu"]]); // by us's own doing: nobody knows its name's address yet
  await eventually("plant says so", () => trial.conditions("plant").some(({ type }) => type === "EndpointUnresolved"));
  trial.mesh.names.set(US_NAME, [trial.gateway("us").underlay.ipv4]);
  await trial.untilReached(DIALLED);
  const { underlay } = trial.gateway("eu");
  expect(await trial.endpoint("us", "eu")).toBe(`[${underlay.ipv6}]:51820`);
  expect(await trial.endpoint("plant", "eu")).toBe(`${underlay.ipv4}:51820`);
  expect(await trial.endpoint("farm", "eu")).toBe(`${underlay.ipv4}:51820`);
});

test("one of them encrypts in userspace, and says so", () => {
  const dataplanes = ALL.map((name) => [name, trial.mesh.status(name)?.dataplane]);
  expect(dataplanes).toEqual(ALL.map((name) => [name, name === "farm" ? Dataplane.USERSPACE : Dataplane.KERNEL]));
});

test("others learn where a site behind NAT is from its handshake: reported, not published, and at rest nothing is written", async () => {
  const { underlay } = trial.router("plant");
  for (const other of ["eu", "us"] as const) {
    expect(await trial.endpoint(other, "plant")).toBe(`${underlay.ipv4}:51820`);
    await eventually(`${other} reports it`, () => {
      const link = trial.mesh.status(other)?.links.find(({ clusterId }) => clusterId === "plant");
      return link?.roamed === true && link.endpoint === `${underlay.ipv4}:51820`;
    });
  }
  expect(trial.mesh.mesh.hub.map.statements.get("gateway.plant.0")?.statement.endpoints).toEqual([]);
  expect(await trial.writes(ALL, () => trial.twoLooks())).toEqual([]);
});

test.each([
  { what: "other ports", to: undefined, ports: "40000-40999" },
  { what: "another address", to: "192.0.2.210", ports: "41000-41999" },
])("the NAT router takes $what: the others follow the site's packets and write nothing", async ({ to, ports }) => {
  const router = trial.router("plant");
  const address = await addressOf("plant");
  const written = await trial.writes(["eu", "us"], async () => {
    await router.namespace.sh(`nft -f - <<'END'
flush chain ip nat post
add rule ip nat post oifname "eth0" meta l4proto udp masquerade to :${ports}
END`);
    // With its address the router forgets the flows that it has translated to it.
    await router.namespace.ip(
      `addr del ${address}/24 dev eth0`,
      `addr add ${to ?? address}/24 dev eth0`,
      `route replace default via ${INTERNET.ipv4}`,
    );
    await trial.untilReached([
      ["plant", "eu"],
      ["plant", "us"],
    ]);
    await trial.twoLooks();
  });
  const [first = ""] = ports.split("-");
  for (const other of ["eu", "us"] as const)
    expect(await trial.endpoint(other, "plant")).toMatch(`${to ?? address}:${first.slice(0, 2)}`);
  expect(written).toEqual([]);
});

async function addressOf(name: Name): Promise<string> {
  const said = await trial.router(name).namespace.sh("ip -4 -o addr show eth0");
  return /inet ([\d.]+)/.exec(said)?.[1] ?? "";
}

test("a site moves and its name follows: who can be called follows its packets, who cannot asks for the name again", async () => {
  const { namespace, underlay } = trial.gateway("us");
  const next = { ipv4: "192.0.2.202", ipv6: "2001:db8::202" };
  const written = await trial.writes(["eu"], async () => {
    await namespace.ip(
      `addr del ${underlay.ipv4}/24 dev eth0`,
      `addr del ${underlay.ipv6}/64 dev eth0`,
      `addr add ${next.ipv4}/24 dev eth0`,
      `addr add ${next.ipv6}/64 dev eth0 nodad`,
      `route replace default via ${INTERNET.ipv4}`,
      `route replace ::/0 via ${INTERNET.ipv6}`,
    );
    trial.mesh.names.set(US_NAME, [next.ipv4]);
    await trial.untilReached([["us", "eu"]]);
    await trial.untilReached([
      ["plant", "us"],
      ["farm", "us"],
    ]);
  });
  expect(await trial.endpoint("eu", "us")).toBe(`[${next.ipv6}]:51820`);
  expect(await trial.endpoint("plant", "us")).toBe(`${next.ipv4}:51820`);
  expect(await trial.endpoint("farm", "us")).toBe(`${next.ipv4}:51820`);
  expect(written).toEqual([]);
});

test("other ports, one of which another program has: it is said, the former port goes on, and all follow when it is free", async () => {
  const { namespace } = trial.gateway("us");
  const thief = namespace.within(() => openUdp({ address: "0.0.0.0", port: 52000 }, 4096));
  await trial.agent("us").restart({ endpoints: [{ host: US_NAME, basePort: 52000 }], basePort: 52000 });
  const said = () => trial.conditions("us").find(({ type }) => type === "PortInUse")?.message ?? "";
  await eventually("PortInUse in the status", () => said() !== "");
  expect(said()).toContain("stop the program that has this port, or set another base port");
  await trial.untilReached([["us", "eu"]]);
  closeSocket(thief);
  await eventually("no PortInUse in the status", () => said() === "");
  await trial.untilReached(DIALLED.filter((pair) => pair.includes("us")));
  expect(await trial.endpoint("plant", "us")).toBe("192.0.2.202:52000");
  expect(await trial.endpoint("eu", "us")).toMatch(/:52000$/);
});

test("two sites that nobody can dial are NoPath for both, until the policy names who carries them", async () => {
  for (const [at, of] of [
    ["plant", "farm"],
    ["farm", "plant"],
  ] as const) {
    const [condition, ...more] = trial.conditions(at).filter(({ type }) => type === "NoPath");
    expect(condition?.subject).toBe(`cluster ${of}`);
    expect(condition?.message).toContain("name a transit cluster");
    expect(more).toEqual([]);
  }
  expect(await trial.pings("plant", "farm")).toBe(false);

  const relay = { name: "relay", left: { clusters: ["plant"] }, right: { clusters: ["farm"] }, transit: "eu" };
  await trial.mesh.link({ links: [EU_TO_US, relay] });
  await trial.untilReached([["plant", "farm"]]);
  const through = (await trial.agent("eu").kernel.firewall.counters()).get("link/farm/plant/sent");
  expect(through?.packets).toBeGreaterThan(0);
  await eventually("no NoPath in the status", () =>
    [...trial.conditions("plant"), ...trial.conditions("farm")].every(({ type }) => type !== "NoPath"),
  );

  await trial.mesh.link({ links: [EU_TO_US] });
  await eventually("NoPath again", () => trial.conditions("farm").some(({ type }) => type === "NoPath"));
  await eventually("no way from farm to plant", async () => !(await trial.pings("farm", "plant")));
});

test("inner IPv6 is carried, also over IPv4 from behind NAT; where it is not, that is said, and it never leaves in clear", async () => {
  await trial.untilReached(
    [
      ["plant", "eu"],
      ["farm", "eu"],
    ],
    "ipv6",
  );
  const { prefix } = trial.site("eu");
  const [condition] = trial.conditions("us").filter(({ subject }) => subject === `prefix ${prefix.ipv6}`);
  expect(condition).toMatchObject({ type: "Ipv6NotCarried", message: expect.stringContaining("dropped") });
  expect(await trial.pings("us", "eu", "ipv6")).toBe(false);
  expect(await trial.pings("eu", "us", "ipv6")).toBe(false);
});

test("the policy of a link: what it names passes, counted, and nothing else; segments fit; a hidden host has a fixed address", async () => {
  const us = trial.site("us");
  const hidden = HIDDEN.replace("0/24", "100");
  await us.host.namespace.ip(`addr add ${hidden}/32 dev lan`);
  await trial.gateway("us").namespace.ip(`route add ${HIDDEN} via ${us.host.address.ipv4}`);
  const counters = async () => await trial.agent("eu").kernel.firewall.counters();
  const before = await counters();

  expect(await connects("us", "eu", { port: 7001 })).toMatchObject({ seenAs: us.host.address.ipv4 });
  expect(await connects("us", "eu", { port: 7001, from: hidden })).toMatchObject({ seenAs: stableAddressOf("us") });
  expect(await isRefused("us", "eu", 7002)).toBe(true);
  expect(await isRefused("eu", "us", 7001)).toBe(true);
  const after = await counters();
  for (const name of ["link/eu/us/received", "link/eu/us/sent", "denied"])
    expect(after.get(name)?.packets, name).toBeGreaterThan(before.get(name)?.packets ?? 0);

  const { segmentBytes } = await connects("plant", "eu", { port: 80 });
  expect(segmentBytes).toBeLessThanOrEqual(1420 - 40);
  expect(segmentBytes).toBeGreaterThan(1300);
});

test("all the while nothing was in clear; without agents it was", async () => {
  expect(trial.control.ipv4).toBeGreaterThan(0);
  expect(trial.control.ipv6).toBeGreaterThan(0);
  expect(await trial.clear.count()).toEqual(trial.control);
});

/** The first of the cluster's 64 overlay addresses. */
function stableAddressOf(name: Name): string {
  return `198.18.0.${64 * (trial.mesh.mesh.hub.map.admissions.get(name)?.overlayIndex ?? 4)}`;
}

/** That a packet is dropped shows in nothing but time; that others pass meanwhile is shown before. */
const REFUSED_MS = 2_000;

interface Connection {
  readonly seenAs: string;
  readonly segmentBytes: number;
}

/** Connects from LAN host to LAN host, and says how the other end sees it. */
async function connects(
  from: Name,
  to: Name,
  { port, from: source }: { readonly port: number; readonly from?: string },
): Promise<Connection> {
  const [client, server] = [trial.site(from).host, trial.site(to).host];
  const address = server.address.ipv4;
  using _ = listenIn({ namespace: server.namespace, address }, port);
  const local = { address: source ?? client.address.ipv4, port: 0 };
  const socket = client.namespace.within(() => beginConnect(local, { address, port }));
  try {
    return await eventually(`a connection from ${from} to port ${port} of ${to}`, async () => {
      const seenAs = peerOf(await server.namespace.sh("cat /proc/net/tcp"), port);
      return seenAs === undefined ? undefined : { seenAs, segmentBytes: segmentBytesOf(socket) };
    });
  } finally {
    closeSocket(socket);
  }
}

/** The other end of the established connection to a local port, of the kernel's table: "6400020A" is 10.2.0.100. */
function peerOf(table: string, port: number): string | undefined {
  const local = port.toString(16).toUpperCase().padStart(4, "0");
  const [, peer] = new RegExp(`:${local} ([0-9A-F]{8}):[0-9A-F]{4} 01 `).exec(table) ?? [];
  return peer === undefined ? undefined : [...Buffer.from(peer, "hex")].reverse().join(".");
}

async function isRefused(from: Name, to: Name, port: number): Promise<boolean> {
  const [client, server] = [trial.site(from).host, trial.site(to).host];
  using _ = listenIn({ namespace: server.namespace, address: server.address.ipv4 }, port);
  const [source, target] = [client.address.ipv4, { address: server.address.ipv4, port }];
  const end = { namespace: client.namespace, address: source };
  return (await countConnects(end, target, { attempts: 1, timeoutMs: REFUSED_MS })) === 0;
}
