import type { Peer } from "@spanwire/core/desired/state";
import { compileOnce, testLocal, testMap } from "@spanwire/core/desired/testing";
import { describe, expect, test } from "vitest";
import type { ObservedWireGuard } from "../kernel/port.ts";
import { EU, US } from "./testing.ts";
import { Usage } from "./usage.ts";

const ASIA = { id: "asia", block: 2, prefixes: ["10.3.0.0/16"] };
const LOOK_MS = 5_000;

/** eu.0, which has two gateways of us and one of asia before it. */
function start() {
  const map = testMap({ clusters: [EU, US, ASIA] });
  const wanted = compileOnce(map, testLocal(map, "eu"));
  const usage = new Usage();
  usage.want(wanted);
  const bytes = new Map<string, number>();
  let nowMs = 0;
  return {
    usage,
    /** Lets as many bytes pass by these lanes, and looks. */
    look(moved: Readonly<Record<string, number>> = {}, probes = 0): readonly string[] {
      for (const [device, count] of Object.entries(moved)) bytes.set(device, (bytes.get(device) ?? 0) + count);
      nowMs += LOOK_MS;
      const peers = [...wanted.desired.clusters.values()].flatMap((fragment) => fragment.peers);
      const devices = new Map(
        Map.groupBy(peers, ({ device }) => device)
          .entries()
          .map(([name, its]) => [name, observed(name, its, bytes.get(name) ?? 0)]),
      );
      return usage.look({ devices, probes: () => probes, nowMs });
    },
  };
}

function observed(name: string, peers: readonly Peer[], rxBytes: number): ObservedWireGuard {
  return {
    ...{ name, listenPort: 0, fwmark: 0, publicKey: "" },
    peers: peers.map((peer) => ({ ...peer, endpoint: undefined, lastHandshakeMs: undefined, rxBytes, txBytes: 0 })),
  };
}

describe("a remote gateway", () => {
  test("has an alternative where its cluster has another with a tunnel", () => {
    const { usage } = start();
    expect(["us.0", "us.1", "asia.0", "nobody.0"].map((gateway) => usage.of(gateway).hasAlternative)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test("has traffic from the look that finds it until half a minute after the last", () => {
    const { usage, look } = start();
    expect(look({ "sw-a1": 1e6 })).toEqual([]); // may be old
    expect(look({ "sw-a1": 2_000 })).toEqual(["us.1"]);
    expect([usage.of("us.0").hasTraffic, usage.of("us.1").hasTraffic]).toEqual([false, true]);
    for (let n = 1; n < 30_000 / LOOK_MS; n++) expect(look()).toEqual([]);
    expect(look()).toEqual(["us.1"]);
    expect(usage.of("us.1").hasTraffic).toBe(false);
  });
});
