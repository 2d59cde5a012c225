import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";

import { type FlowSpec, startMeter } from "../meter/meter.ts";
import { createTopology, type Topology } from "./topology.ts";

const PHASE_MS = 2000;

/** Flows from the LAN host to its gateway, and the number of packets that a rule of the gateway dropped. */
function flowsIn(topology: Topology, packetsPerSecond: number): { flows: FlowSpec[]; dropped: () => Promise<number> } {
  const { host, gateways } = topology.site("eu");
  const [gateway] = gateways;
  if (gateway === undefined) throw new Error("no gateway");
  const flows = Array.from({ length: 4 }, (_, index) => ({
    from: { namespace: `/run/netns/${host.namespace.name}`, address: host.address.ipv4, port: 9001 + index },
    to: { namespace: `/run/netns/${gateway.namespace.name}`, address: gateway.lan.ipv4, port: 9000 },
    packetsPerSecond,
  }));
  const dropped = async () => Number(/packets (\d+)/.exec(await gateway.namespace.sh("nft list chain ip t in"))?.[1]);
  return { flows, dropped };
}

test("loses nothing on a whole path, and counts exactly what a firewall drops", async () => {
  await using topology = await createTopology({ sites: [{ name: "eu", gateways: 1 }] });
  const { flows, dropped } = flowsIn(topology, 200);
  await using meter = await startMeter(flows);
  const control = await meter.during(() => delay(PHASE_MS));
  expect(control).toMatchObject({ lost: 0, duplicated: 0 });
  expect(control.sent).toBeGreaterThan(1000);

  const gateway = topology.site("eu").gateways[0]?.namespace;
  const lossy = await meter.during(async () => {
    await gateway?.sh(`nft -f - <<'END'
table ip t {
  chain in {
    type filter hook input priority 0
    udp sport 9001-9004 numgen inc mod 10 0 counter drop
  }
}
END`);
    await delay(PHASE_MS);
    await gateway?.sh("nft insert rule ip t in accept");
  });
  expect(lossy.lost).toBe(await dropped());
  expect(lossy.lost).toBeGreaterThan(50);
});

test("a run in which its own socket overflowed is no result", async () => {
  await using topology = await createTopology({ sites: [{ name: "eu", gateways: 1 }] });
  const { flows } = flowsIn(topology, 3000);
  await using meter = await startMeter(flows, { receiveBufferBytes: 1 });
  await expect(meter.during(() => delay(PHASE_MS))).rejects.toThrow(/its own sockets dropped \d+ packets/);
});
