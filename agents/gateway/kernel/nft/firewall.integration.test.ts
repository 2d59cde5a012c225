import type { Firewall, ForwardRule } from "@spanwire/core/desired/state";
import { describe, expect, test } from "vitest";
import { createTestNamespace, type TestNamespace } from "../contract/namespace.ts";
import { openKernel } from "../open-kernel.ts";
import type { FirewallPort } from "../port.ts";
import { createPacketLab, type PacketLab } from "./packet-lab.ts";

const MODEL: Firewall = {
  remote: ["10.2.0.0/16", "fd00:2::/64"],
  kept: [],
  lanePrefix: "sw-",
  stableDevice: "sw0",
  mark: { mark: 0x1000, mask: 0x1000 },
  forward: [],
  snat: [],
  mssClamp: undefined,
};

function out(rule: Pick<ForwardRule, "protocol"> & Partial<ForwardRule>): ForwardRule {
  const prefixes = { source: "10.1.0.0/16", destination: "10.2.0.0/16" };
  return { link: "eu~us", direction: "out", ports: [], ...prefixes, ...rule };
}

function port(first: number, last = first) {
  return [{ first, last }];
}

async function apply({ kernel }: PacketLab, model: Partial<Firewall>): Promise<void> {
  await kernel.firewall.apply({ kind: "replace-firewall", firewall: { ...MODEL, ...model } });
}

const FAMILIES = [
  { family: "ipv4", prefixes: { source: "10.1.0.0/16", destination: "10.2.0.0/16" } },
  { family: "ipv6", prefixes: { source: "fd00:1::/64", destination: "fd00:2::/64" } },
] as const;

for (const { family, prefixes } of FAMILIES) {
  test(`${family}: TCP passes by its tuple, its answers pass, and nothing begins the other way round`, async () => {
    await using lab = await createPacketLab(family);
    await apply(lab, { forward: [out({ ...prefixes, protocol: "tcp", ports: port(7001) })] });
    const { local, remote } = lab;
    expect(await lab.connects(local, remote, 7001)).toBe(true);
    expect(await lab.connects(local, remote, 7002)).toBe(false);
    expect(await lab.connects(remote, local, 7001)).toBe(false);
    expect(await lab.connects(remote, local, 7002, { fromPort: 7001 })).toBe(false);
  });

  test(`${family}: UDP passes by its tuple and its mirror, in fragments too`, async () => {
    await using lab = await createPacketLab(family);
    await apply(lab, { forward: [out({ ...prefixes, protocol: "udp", ports: port(9000, 9001) })] });
    const { local, remote } = lab;
    expect(await lab.delivers(local, remote, { port: 9001, fromPort: 5000 })).toBe(true);
    expect(await lab.delivers(local, remote, { port: 9000, fromPort: 5000, bytes: 4000 })).toBe(true);
    expect(await lab.delivers(remote, local, { port: 5000, fromPort: 9000 })).toBe(true);
    expect(await lab.delivers(local, remote, { port: 9002, fromPort: 5000 })).toBe(false);
    expect(await lab.delivers(remote, local, { port: 9000, fromPort: 5000 })).toBe(false);
  });

  test(`${family}: pings pass one way, errors both ways`, async () => {
    await using lab = await createPacketLab(family);
    const udp = out({ ...prefixes, protocol: "udp", ports: port(9000) });
    await apply(lab, { forward: [out({ ...prefixes, protocol: "icmp" }), udp] });
    const { local, remote } = lab;
    expect(await lab.pings(local, remote)).toBe(true);
    expect(await lab.pings(remote, local)).toBe(false);
    const before = await lab.heard(local, "unreachables");
    lab.sendUdp(local, remote, { port: 9000, fromPort: 5000 }); // nobody listens there
    await expect.poll(() => lab.heard(local, "unreachables")).toBe(before + 1);
  });

  test(`${family}: protocol any passes everything out, and only answers in`, async () => {
    await using lab = await createPacketLab(family);
    await apply(lab, { forward: [out({ ...prefixes, protocol: "any" })] });
    const { local, remote } = lab;
    expect(await lab.connects(local, remote, 80)).toBe(true);
    expect(await lab.pings(local, remote)).toBe(true);
    expect(await lab.connects(remote, local, 80)).toBe(false);
    expect(await lab.pings(remote, local)).toBe(false);
  });

  test(`${family}: rules of both directions stand beside each other`, async () => {
    await using lab = await createPacketLab(family);
    const { source, destination } = prefixes;
    const incoming = { source: destination, destination: source, direction: "in" } as const;
    await apply(lab, {
      forward: [
        out({ ...prefixes, protocol: "tcp", ports: port(7001) }),
        out({ ...incoming, protocol: "tcp", ports: port(7001) }),
      ],
    });
    expect(await lab.connects(lab.local, lab.remote, 7001)).toBe(true);
    expect(await lab.connects(lab.remote, lab.local, 7001)).toBe(true);
    expect(await lab.connects(lab.remote, lab.local, 7002)).toBe(false);
  });

  test(`${family}: the guard keeps remote prefixes on the lanes, in both directions`, async () => {
    await using lab = await createPacketLab(family);
    const everything = { forward: [out({ ...prefixes, protocol: "any" })] };
    const { local, remote, outside } = lab;
    await lab.leadOutside();
    const leak = () => lab.delivers(local, remote, { port: 9000, fromPort: 5000, at: outside });
    const forgery = () => lab.delivers(remote, local, { port: 5000, fromPort: 9000, from: outside });
    expect([await leak(), await forgery()]).toEqual([true, true]); // the control: without a guard both arrive
    await apply(lab, everything);
    expect([await leak(), await forgery()]).toEqual([false, false]);
    const counters = await lab.kernel.firewall.counters();
    expect(counters.get("guard/out")?.packets).toBeGreaterThan(0);
    expect(counters.get("guard/in")?.packets).toBeGreaterThan(0);
    await lab.pings(lab.gateway, remote);
    expect(await lab.heard(outside, "pings")).toBe(0);
    await lab.pings(lab.gateway, remote, ["-m", "4096"]); // marked, as WireGuard's own packets are
    expect(await lab.heard(outside, "pings")).toBe(1);
  });

  test(`${family}: a network that is kept leaves by its own devices`, async () => {
    await using lab = await createPacketLab(family);
    const { local, remote, outside, gateway } = lab;
    await lab.leadOutside();
    const leak = () => lab.delivers(local, remote, { port: 9000, fromPort: 5000, at: outside });
    const kept = (device: string) => [{ prefix: prefixes.destination, devices: [device] }];
    await apply(lab, { remote: [], kept: kept("lan") });
    expect(await leak()).toBe(false);
    expect((await lab.kernel.firewall.counters()).get("guard/out")?.packets).toBeGreaterThan(0);
    await apply(lab, { remote: [], kept: [...kept("out"), { prefix: prefixes.source, devices: ["lan"] }] });
    expect(await leak()).toBe(true);
    expect(await lab.pings(gateway, local)).toBe(true);
    expect(await lab.pings(gateway, gateway)).toBe(true);
  });

  test(`${family}: translates to the fixed address`, async () => {
    await using lab = await createPacketLab(family);
    const to = family === "ipv4" ? "198.18.0.48" : "fd00::30";
    await apply(lab, { forward: [out({ ...prefixes, protocol: "any" })], snat: [{ ...prefixes, to }] });
    expect(await lab.connects(lab.local, lab.remote, 7001, { seenAs: to })).toBe(true);
  });

  test(`${family}: lowers the largest TCP segment both ways`, async () => {
    await using lab = await createPacketLab(family);
    const clamped = { ipv4: 1000, ipv6: 990 };
    await apply(lab, { forward: [out({ ...prefixes, protocol: "any" })], mssClamp: clamped });
    const mss = await lab.segmentBytes(lab.local, lab.remote, 7001);
    expect(Math.max(mss.ofClient, mss.ofServer)).toBeLessThanOrEqual(clamped[family]);
  });
}

test("leaves traffic alone that has no remote end", async () => {
  await using lab = await createPacketLab("ipv4");
  await apply(lab, {});
  expect(await lab.pings(lab.local, { ...lab.outside, address: "192.0.2.9" })).toBe(true);
  expect(await lab.connects(lab.local, lab.remote, 80)).toBe(false);
});

/** Packets that a write may miss where it takes a range away and adds another over it: decision 0004. */
const MISSED = 3;
const UDP = out({ protocol: "udp", ports: port(9000, 9001) });
const BOTH_WAYS = (prefix: string) => [
  out({ destination: prefix, protocol: "udp", ports: port(9000, 9001) }),
  out({ direction: "in", source: prefix, destination: "10.1.0.0/16", protocol: "udp", ports: port(9000, 9001) }),
];

test.each([
  {
    change: "another policy",
    missed: 0,
    models: [{ forward: [UDP] }, { forward: [UDP, out({ protocol: "tcp", ports: port(7002) })] }],
  },
  {
    change: "new neighbours",
    missed: 0,
    models: [
      { forward: BOTH_WAYS("10.2.0.0/16") },
      {
        remote: ["10.1.128.0/17", "10.2.0.0/16", "10.3.0.0/16"],
        forward: ["10.1.128.0/17", "10.2.0.0/16", "10.3.0.0/16"].flatMap(BOTH_WAYS),
      },
    ],
  },
  {
    change: "a wider prefix over the one in use",
    missed: MISSED,
    models: [
      { remote: ["10.2.0.0/24"], forward: BOTH_WAYS("10.2.0.0/24") },
      { remote: ["10.2.0.0/16", "10.2.0.0/24"], forward: [...BOTH_WAYS("10.2.0.0/16"), ...BOTH_WAYS("10.2.0.0/24")] },
    ],
  },
])("written 20 times under traffic ($change), it neither lets a packet pass that may not nor loses one that may", async ({
  models,
  missed,
}) => {
  await using lab = await createPacketLab("ipv4");
  const { local, remote } = lab;
  await apply(lab, models[0] ?? {});
  const may = lab.startFlow(local, remote, { port: 9000, fromPort: 5000 });
  const answers = lab.startFlow(remote, local, { port: 5002, fromPort: 9001 });
  const mayNot = lab.startFlow(local, remote, { port: 9002, fromPort: 5001 });
  for (let round = 1; round <= 20; round++) await apply(lab, models[round % 2] ?? {});
  for (const flow of [may, answers]) {
    const { sent, received } = await flow.stop();
    expect(sent).toBeGreaterThan(20);
    expect(sent - received).toBeLessThanOrEqual(missed);
  }
  const leaked = await mayNot.stop();
  expect(leaked.sent).toBeGreaterThan(20);
  expect(leaked.received).toBeLessThanOrEqual(missed);
});

test("counters go on counting when the table is written anew, and leave with their link", async () => {
  await using lab = await createPacketLab("ipv4");
  await apply(lab, { forward: [out({ protocol: "udp", ports: port(9000) })] });
  expect(await lab.delivers(lab.local, lab.remote, { port: 9000, fromPort: 5000 })).toBe(true);
  const sent = async () => (await lab.kernel.firewall.counters()).get("link/eu/us/sent");
  const before = await sent();
  expect(before?.packets).toBeGreaterThan(0);
  await apply(lab, { forward: [out({ protocol: "udp", ports: port(9000, 9100) })] });
  expect(await sent()).toEqual(before);
  await apply(lab, { forward: [out({ link: "eu~plant", protocol: "any" })] });
  expect([...(await lab.kernel.firewall.counters()).keys()]).toEqual([
    "denied",
    "forward/entered",
    "forward/passed",
    "guard/in",
    "guard/out",
    "link/eu/plant/received",
    "link/eu/plant/sent",
  ]);
});

test.each([
  { by: "flushing a chain", nft: ["flush chain inet spanwire guard-out"], seen: "altered" },
  { by: "adding a rule", nft: ["insert rule inet spanwire guard-out accept"], seen: "altered" },
  { by: "adding a chain", nft: ["add chain inet spanwire mine"], seen: "altered" },
  {
    by: "taking an element from a set",
    nft: ["delete element inet spanwire remote4 { 10.2.0.0/16 }"],
    seen: "altered",
  },
  { by: "adding an element to a set", nft: ["add element inet spanwire remote4 { 10.9.0.0/16 }"], seen: "altered" },
  { by: "flushing the table's rules", nft: ["flush table inet spanwire"], seen: "altered" },
  { by: "putting the table to sleep", nft: ["add table inet spanwire { flags dormant ; }"], seen: "altered" },
  { by: "deleting the table", nft: ["delete table inet spanwire"], seen: "absent" },
  { by: "flushing everything", nft: ["flush ruleset"], seen: "absent" },
  {
    by: "making something in it that we never make",
    nft: ["add quota inet spanwire mine { over 1 mbytes }"],
    seen: "altered",
  },
])("sees that somebody changed it by $by, and mends it", async ({ nft, seen }) => {
  await using namespace = await createTestNamespace();
  await using kernel = openIn(namespace);
  const { firewall } = kernel;
  const model = { ...MODEL, forward: [out({ protocol: "any" })] };
  const written = await write(firewall, model);
  for (const command of nft) await namespace.exec("nft", command);
  expect((await firewall.observe()).kind).toBe(seen);
  expect(await write(firewall, model)).toEqual(written);
});

test("another process that opens the kernel sees the same", async () => {
  await using namespace = await createTestNamespace();
  await using first = openIn(namespace);
  const written = await write(first.firewall, MODEL);
  await using second = openIn(namespace);
  expect(await second.firewall.observe()).toEqual(written);
});

test("a table of others makes no difference, and stays as it is", async () => {
  await using namespace = await createTestNamespace();
  await using kernel = openIn(namespace);
  await namespace.exec("nft", "add table inet other; add chain inet other c; add rule inet other c counter accept");
  const others = await namespace.exec("nft", "list table inet other");
  await write(kernel.firewall, MODEL);
  await kernel.firewall.apply({ kind: "remove-firewall" });
  expect(await namespace.exec("nft", "list ruleset")).toBe(others);
});

test("wakes the watcher when somebody changes our table, not when they change theirs", async () => {
  await using namespace = await createTestNamespace();
  await using kernel = openIn(namespace);
  await write(kernel.firewall, MODEL);
  const stop = new AbortController();
  const events = kernel.network.watch(stop.signal)[Symbol.asyncIterator]();
  await events.next();
  const next = events.next().then(() => Date.now());
  await namespace.exec("nft", "add table inet other");
  const before = Date.now();
  await namespace.exec("nft", "flush chain inet spanwire guard-out");
  expect(await next).toBeGreaterThanOrEqual(before);
  stop.abort();
});

test("holds a mesh of 300 clusters", async () => {
  await using namespace = await createTestNamespace();
  await using kernel = openIn(namespace);
  const clusters = Array.from({ length: 300 }, (_, n) => `10.${100 + (n >> 6)}.${(n & 63) * 4}.0/22`);
  const forward = clusters.map((destination, n) => out({ link: `eu~c${n}`, destination, protocol: "any" }));
  await write(kernel.firewall, { ...MODEL, remote: clusters, forward });
  expect((await kernel.firewall.counters()).size).toBe(5 + 2 * 300);
});

async function write(firewall: FirewallPort, model: Firewall) {
  await firewall.apply({ kind: "replace-firewall", firewall: model });
  const observed = await firewall.observe();
  expect(observed.kind).toBe("present");
  return observed;
}

/** nft wants the end of a block on a line of its own. */
function lines(rules: string): string {
  return rules.replaceAll(" }", "\n}");
}

function openIn(namespace: TestNamespace) {
  return openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
}

test("goes from the table of an older version, whose policy came later, to ours", async () => {
  await using namespace = await createTestNamespace();
  await using kernel = openIn(namespace);
  await namespace.exec(
    "nft",
    "add table inet spanwire; add chain inet spanwire forward { type filter hook forward priority 0 ; }",
  );
  await write(kernel.firewall, MODEL);
  expect(await kernel.firewall.forwarded()).toEqual({ entered: 0, denied: 0, passed: 0 });
});

describe("other programs' firewalls", () => {
  const DROPPING = "chain forward { type filter hook forward priority 10 ; policy drop ; }";

  test.each([
    { rules: "table inet other { chain forward { type filter hook forward priority 0 ; } }", want: [] },
    { rules: `table inet other { ${DROPPING} }`, want: ["inet other forward drop"] },
    {
      rules: "table ip filter { chain FORWARD { type filter hook forward priority 0 ; policy drop ; } }",
      want: ["ip filter FORWARD drop"],
    },
    {
      rules:
        "table inet other { chain no { reject ; } ; chain forward { type filter hook forward priority 0 ; jump no ; } }",
      want: ["inet other forward accept"],
    },
    {
      rules:
        "table ip6 other { map m { type iface_index : verdict ; elements = { lo : drop } ; } ; chain f { type filter hook forward priority 0 ; iif vmap @m ; } }",
      want: ["ip6 other f accept"],
    },
    { rules: "table inet other { chain in { type filter hook input priority 0 ; policy drop ; } }", want: [] },
    { rules: "table bridge other { chain f { type filter hook forward priority 0 ; policy drop ; } }", want: [] },
  ])("can drop what is forwarded: $rules", async ({ rules, want }) => {
    await using namespace = await createTestNamespace();
    await using kernel = openIn(namespace);
    await write(kernel.firewall, MODEL);
    await namespace.exec("nft", lines(rules));
    const chains = await kernel.firewall.foreignChains();
    expect(chains.map(({ name, policy }) => `${name} ${policy}`)).toEqual(want);
  });

  test("are another version when a rule is another, and the same when it has only counted", async () => {
    await using namespace = await createTestNamespace();
    await using kernel = openIn(namespace);
    const versions = async () => (await kernel.firewall.foreignChains()).map(({ version }) => version);
    await namespace.exec("nft", lines(`table inet other { ${DROPPING} }`));
    await namespace.exec("nft", "add rule inet other forward counter accept");
    const before = await versions();
    await namespace.exec("nft", "replace rule inet other forward handle 2 counter packets 7 bytes 700 accept");
    await write(kernel.firewall, MODEL);
    expect(await versions()).toEqual(before);
    await namespace.exec("nft", "add rule inet other forward ip saddr 192.0.2.2 accept");
    expect(await versions()).not.toEqual(before);
    await namespace.exec("nft", "delete table inet other");
    expect(await versions()).toEqual([]);
  });

  for (const { family, prefixes } of FAMILIES) {
    test(`${family}: what they drop of the mesh's packets entered and did not pass, and what we deny is told apart`, async () => {
      await using lab = await createPacketLab(family);
      const { local, remote, outside, kernel } = lab;
      await apply(lab, { forward: [out({ ...prefixes, protocol: "udp", ports: port(9000) })] });
      const may = () => lab.delivers(local, remote, { port: 9000, fromPort: 5000 });
      const mayNot = () => lab.delivers(local, remote, { port: 9001, fromPort: 5001 });
      const nft = (line: string) => lab.nft(line);

      expect([await may(), await mayNot()]).toEqual([true, false]);
      expect(await kernel.firewall.forwarded()).toEqual({ entered: 2, denied: 1, passed: 1 });
      for (const priority of [-300, 0, 300]) {
        await nft(
          `add table inet other; add chain inet other f { type filter hook forward priority ${priority} ; policy drop ; }`,
        );
        expect(await may()).toBe(false);
        await nft("delete table inet other");
      }
      expect(await kernel.firewall.forwarded()).toEqual({ entered: 5, denied: 1, passed: 1 });
      const others = family === "ipv4" ? "192.0.2.9" : "2001:db8::9";
      expect(await lab.pings(local, { ...outside, address: others })).toBe(true); // no end of it is remote
      expect(await may()).toBe(true);
      expect(await kernel.firewall.forwarded()).toEqual({ entered: 6, denied: 1, passed: 2 });
    });
  }
});
