import { expect, test } from "vitest";

import { execute } from "../lab/execute.ts";
import { listNamespaces } from "./namespace.ts";
import { createTopology } from "./topology.ts";

test("joins sites, machines and a site behind NAT, also one that comes later, and leaves nothing", async () => {
  let names: string[];
  {
    await using topology = await createTopology({
      sites: [
        { name: "eu", gateways: 2 },
        { name: "plant", gateways: 1, behindNat: true },
      ],
      machines: ["hub"],
    });
    await topology.addSite({ name: "us", gateways: 1 });
    const [eu, us, plant, hub] = [
      topology.site("eu"),
      topology.site("us"),
      topology.site("plant"),
      topology.machine("hub"),
    ];
    names = (await listNamespaces()).filter((name) => name.startsWith(hub.namespace.name.replace(/-hub$/, "-")));
    expect(names.map((name) => name.replace(/^.*-/, "")).sort()).toEqual(
      ["eu0", "eu1", "euh", "hub", "internet", "plant0", "planth", "plantr", "us0", "ush"].sort(),
    );

    const ping = (...addresses: string[]) => addresses.map((address) => `ping -q -c 1 -W 2 ${address}`).join(" && ");
    await us.gateways[0]?.namespace.sh(
      ping(hub.underlay.ipv4, hub.underlay.ipv6, topology.machine("eu1").underlay.ipv4),
    );
    await eu.host.namespace.sh(ping(...eu.gateways.flatMap(({ lan }) => [lan.ipv4, lan.ipv6])));
    await plant.gateways[0]?.namespace.sh(ping(hub.underlay.ipv4));
    await expect(hub.namespace.sh(ping("172.31.2.1"))).rejects.toThrow("status");
  }
  expect((await listNamespaces()).filter((name) => names.includes(name))).toEqual([]);
});

test("a namespace reports what failed, and goes on", async () => {
  await using topology = await createTopology({ sites: [] });
  const { internet } = topology;
  await expect(internet.ip("link set nonesuch up", "link add b9 type bridge")).rejects.toThrow(/nonesuch/);
  await expect(internet.sh("echo because; exit 3")).rejects.toThrow(/status 3: because/);
  expect(await internet.sh("ip -br link show b9")).toContain("b9");
});

test("what this thread does inside stays inside", async () => {
  await using topology = await createTopology({ sites: [], machines: ["hub"] });
  const outside = await execute(["cat", "/proc/sys/net/ipv4/ip_forward"]);
  topology.machine("hub").namespace.sysctl({ "ipv4/ip_forward": outside.stdout.trim() === "1" ? 0 : 1 });
  expect(await topology.machine("hub").namespace.sh("cat /proc/sys/net/ipv4/ip_forward")).not.toBe(outside.stdout);
  expect(await execute(["cat", "/proc/sys/net/ipv4/ip_forward"])).toEqual(outside);
  expect(() =>
    topology.internet.within(() => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(await execute(["cat", "/proc/sys/net/ipv4/ip_forward"])).toEqual(outside);
});
