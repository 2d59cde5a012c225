import { setTimeout as delay } from "node:timers/promises";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { describe, test } from "vitest";
import { ABSENT_ADDRESS, probeSocketContract } from "./contract.ts";
import { FakeNetwork } from "./fake-network.ts";
import { openUdpProbeSocket } from "./udp-probe-socket.ts";

describe.each(probeSocketContract)("a probe socket $name", ({ run }) => {
  test("fake", async () => {
    const clock = new FakeClock();
    const network = new FakeNetwork({ clock });
    network.setPresent(ABSENT_ADDRESS, false);
    const until = async (isSo: () => boolean) => {
      while (!isSo()) await clock.advance(1);
    };
    await run({ open: network.open, addresses: ["198.18.0.16", "198.18.0.80"], port: 5180, until });
  });

  test("real, on the loopback device", async () => {
    // All of 127.0.0.0/8 is this host: two addresses and a port that no other test process takes.
    const own = `127.${1 + ((process.pid >> 8) % 250)}.${process.pid % 256}`;
    const until = async (isSo: () => boolean) => {
      while (!isSo()) await delay(1);
    };
    await run({ open: openUdpProbeSocket, addresses: [`${own}.1`, `${own}.2`], port: 20_000, until });
  });
});
