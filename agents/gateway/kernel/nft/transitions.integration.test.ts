import type { Firewall } from "@spanwire/core/desired/state";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createTestNamespace } from "../contract/namespace.ts";
import { openKernel } from "../open-kernel.ts";
import { firewallDigest } from "./digest.ts";

/** Neighbours, halves and single addresses of one range: what meets and overlaps from one model to the next. */
const anyPrefix = fc
  .tuple(fc.integer({ min: 0, max: 15 }), fc.constantFrom(23, 24, 32), fc.boolean())
  .map(([third, bits, ipv6]) => {
    if (ipv6) return `fd00:0:0:${(third + 1).toString(16)}::/64`;
    return `10.2.${bits === 23 ? third & ~1 : third}.${bits === 32 ? 7 : 0}/${bits}`;
  });

const anyModel: fc.Arbitrary<Firewall> = fc
  .record({
    remote: fc.uniqueArray(anyPrefix, { maxLength: 20 }),
    ports: fc.integer({ min: 0, max: 2 }),
    snat: fc.boolean(),
  })
  .map(({ remote, ports, snat }) => ({
    remote: remote.sort(),
    kept: [],
    lanePrefix: "sw-",
    stableDevice: "sw0",
    mark: { mark: 0x1000, mask: 0x1000 },
    forward: remote
      .filter((_, index) => index % 2 === 0)
      .map((destination, index) => ({
        link: `eu~c${index % 3}`,
        direction: "out",
        source: destination.includes(":") ? "fd00:1::/64" : "10.1.0.0/16",
        destination,
        protocol: "tcp",
        ports: Array.from({ length: ports }, (_, n) => ({ first: 80 + 10 * n, last: 80 + 11 * n })),
      })),
    snat: snat ? [{ source: "10.1.0.0/16", destination: "10.2.0.0/16", to: "198.18.0.48" }] : [],
    mssClamp: undefined,
  }));

test("goes from any model to any other, and the sets hold exactly the remote prefixes", {
  timeout: 60_000,
}, async () => {
  await using namespace = await createTestNamespace();
  await using kernel = openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
  await fc.assert(
    fc.asyncProperty(anyModel, async (model) => {
      await kernel.firewall.apply({ kind: "replace-firewall", firewall: model });
      expect(await kernel.firewall.observe()).toEqual({ kind: "present", digest: firewallDigest(model) });
      const listed = [...(await elements("remote4")), ...(await elements("remote6"))].sort();
      expect(listed).toEqual(model.remote.filter((prefix) => !isCovered(prefix, model.remote)));
    }),
    { numRuns: 40 },
  );

  async function elements(set: string): Promise<string[]> {
    const text = await namespace.exec("nft", "list", "set", "inet", "spanwire", set);
    const list = /elements = \{([^}]*)\}/.exec(text)?.[1] ?? "";
    const prefixes = list.split(",").map((element) => element.trim());
    return prefixes.filter((prefix) => prefix !== "").map((prefix) => (prefix.includes("/") ? prefix : `${prefix}/32`));
  }
});

/** Only what `anyPrefix` makes. */
function isCovered(prefix: string, remote: readonly string[]): boolean {
  const third = Number(prefix.split(".")[2]);
  const wider = [`10.2.${third}.0/24`, `10.2.${third & ~1}.0/23`].slice(prefix.endsWith("/24") ? 1 : 0);
  return !prefix.includes(":") && !prefix.endsWith("/23") && wider.some((each) => remote.includes(each));
}
