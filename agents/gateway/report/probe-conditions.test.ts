import { expect, test } from "vitest";
import { probeConditions } from "./probe-conditions.ts";

test("those that are down are named, not those that drain or are held", () => {
  const liveness = new Map([
    ["us.1", { down: true }],
    ["us.0", { down: true }],
    ["asia.0", { down: false, draining: true }],
    ["asia.1", { down: false, held: true }],
  ]);
  const said = probeConditions({ liveness, problem: undefined }).map(({ type, subject }) => `${type} ${subject}`);
  expect(said).toEqual(["GatewaySilent gateway us.0", "GatewaySilent gateway us.1"]);
});

test("it is said when none can be sent", () => {
  const problem = "open a probe socket at 198.18.0.16 port 5180: EADDRINUSE";
  const message = `no probes are sent: ${problem}`;
  expect(probeConditions({ liveness: new Map(), problem })).toEqual([{ type: "NoProbes", subject: "probes", message }]);
});
