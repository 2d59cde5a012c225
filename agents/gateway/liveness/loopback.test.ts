import { compileOnce, testLocal, testMap } from "@spanwire/core/desired/testing";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { expect, test } from "vitest";
import { Prober } from "./prober.ts";
import { EU, FAST, US } from "./testing.ts";
import { openUdpProbeSocket } from "./udp-probe-socket.ts";

test("over real sockets and in real time one end sees the other come, say something, go, and come back", async () => {
  const map = testMap({ clusters: [EU, { ...US, gateways: [{ ordinal: 0 }] }] });
  // All of 127.0.0.0/8 is this host, so that plane addresses can be of it.
  map.mesh.overlayIpv4 = "127.88.0.0/15";
  const port = 20_000 + (process.pid % 10_000);
  const start = (clusterId: string, epoch: bigint) => {
    const controller = new AbortController();
    const prober = new Prober({
      open: openUdpProbeSocket,
      port,
      outlook: () => ({ use: FAST, isDraining: false, sendsOn: epoch, generation: 1n }),
      onChanged: () => {},
      clock: systemClock,
      random: Math.random,
      log: createRecordingLog(),
      signal: controller.signal,
    });
    prober.want(compileOnce(map, testLocal(map, clusterId)));
    const running = prober.run();
    const stop = async () => {
      controller.abort();
      await running;
    };
    return { prober, stop };
  };

  const eu = start("eu", 0n);
  const us = start("us", 4n);
  await expect.poll(() => eu.prober.view("us.0")?.verdict).toBe("up");
  expect(eu.prober.view("us.0")?.word).toEqual({ isDraining: false, sendsOn: 4n, generation: 1n });
  await expect.poll(() => eu.prober.view("us.0")?.lanes.get("a")?.roundTripMs).toBeGreaterThanOrEqual(0);
  await us.stop();
  await expect.poll(() => [...eu.prober.liveness]).toEqual([["us.0", { down: true }]]);
  const again = start("us", 6n);
  await expect.poll(() => eu.prober.view("us.0")?.word?.sendsOn).toBe(6n);
  await expect.poll(() => [...eu.prober.liveness]).toEqual([]);
  await Promise.all([eu.stop(), again.stop()]);
});
