import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { expect, test } from "vitest";
import { untilDrained } from "./drain.ts";
import type { ObservedPeer, ObservedWireGuard } from "./kernel/port.ts";

const PROBE_BYTES = 112;

/** Two lanes with a peer each: every 100 ms a probe comes in, and packets until `untilMs`. */
function start({ untilMs }: { readonly untilMs: number }) {
  const clock = new FakeClock();
  const startedMs = clock.elapsed();
  const controller = new AbortController();
  const passed = () => clock.elapsed() - startedMs;
  const received = () => Math.floor(passed() / 100) * 2;
  const peer = (): ObservedPeer => ({
    ...{ publicKey: "", hasPresharedKey: false, endpoint: undefined, keepaliveSeconds: 0, allowedIps: [] },
    ...{ lastHandshakeMs: undefined, txBytes: passed() * 1_000 },
    rxBytes: (received() / 2) * PROBE_BYTES + Math.min(passed(), untilMs) * 100,
  });
  const observe = async (name: string): Promise<ObservedWireGuard | undefined> =>
    name === "gone" ? undefined : { name, listenPort: 0, fwmark: 0, publicKey: undefined, peers: [peer()] };
  const done = untilDrained({
    ...{ wireguard: { observe }, lanes: ["sw-a0", "sw-a1", "gone"], probesReceived: received, clock },
    signal: controller.signal,
  });
  return { clock, controller, done };
}

test.each([
  { name: "at once", untilMs: 0, atLeastMs: 0, atMostMs: 1_000 },
  { name: "when nothing but probes has come for three looks", untilMs: 3_000, atLeastMs: 3_000, atMostMs: 4_250 },
])("ends $name", async ({ untilMs, atLeastMs, atMostMs }) => {
  const { clock, done } = start({ untilMs });
  const startedMs = clock.elapsed();
  let endedMs = Number.NaN;
  void done.then(() => {
    endedMs = clock.elapsed() - startedMs;
  });
  for (let ms = 0; ms < 10_000; ms += 250) await clock.advance(250);
  expect(await done).toBe(true);
  expect(endedMs).toBeGreaterThanOrEqual(atLeastMs);
  expect(endedMs).toBeLessThanOrEqual(atMostMs);
});

test("ends after 10 s whatever comes, and says so", async () => {
  const { clock, done } = start({ untilMs: Number.POSITIVE_INFINITY });
  for (let ms = 0; ms < 11_000; ms += 250) await clock.advance(250);
  expect(await done).toBe(false);
});

test("ends with the agent", async () => {
  const { clock, controller, done } = start({ untilMs: Number.POSITIVE_INFINITY });
  await clock.advance(500);
  controller.abort();
  expect(await done).toBe(false);
});
