import { expect, test } from "vitest";
import { conditionsOf } from "./desired.ts";
import type { LocalFacts } from "./local-facts.ts";
import { compileOnce, EU, testLocal, testMap, US } from "./testing.ts";

const DEFAULT = [{ device: "eth0", network: "0.0.0.0/0" }];
const SAYS = [
  "prefix 10.1.0.0/16: no route here leads to 10.1.0.0/16 but the default one: what other clusters send there leaves this host by eth0, in clear; if that is the way, say so: ip route add 10.1.0.0/16 via ROUTER",
];

interface Case {
  readonly name: string;
  readonly facts: Partial<LocalFacts>;
  readonly says: readonly string[];
}

test.each<Case>([
  { name: "a default route only", facts: {}, says: SAYS },
  { name: "a network elsewhere", facts: { connected: [{ device: "lan", network: "10.2.0.0/24" }] }, says: SAYS },
  { name: "one of its networks", facts: { connected: [{ device: "lan", network: "10.1.3.0/24" }] }, says: [] },
  { name: "a wider route by a router", facts: { localRoutes: ["10.0.0.0/8"] }, says: [] },
  { name: "an address of its own", facts: { loneAddresses: ["10.1.0.1/32"] }, says: [] },
  { name: "no default route at all", facts: { defaultRoutes: [] }, says: [] },
  { name: "one of the other family", facts: { defaultRoutes: [{ device: "eth0", network: "::/0" }] }, says: [] },
])("a prefix of our own cluster, and $name", ({ facts, says }) => {
  const map = testMap({ clusters: [EU, US] });
  const { desired } = compileOnce(map, testLocal(map, "eu", 0, { defaultRoutes: DEFAULT, ...facts }));
  const found = conditionsOf(desired).filter(({ type }) => type === "OwnPrefixNotLocal");
  expect(found.map(({ subject, message }) => `${subject}: ${message}`)).toEqual(says);
});
