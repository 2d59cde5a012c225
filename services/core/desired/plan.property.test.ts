import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { containsCidr, overlaps, parseCidr } from "../address/cidr.ts";
import { overlayBlock, parseOverlay } from "../address/overlay.ts";
import { judgePair } from "../policy/pair.ts";
import { anyMesh } from "./any-mesh.ts";
import { createCompiler } from "./compile.ts";
import { flatten } from "./desired.ts";
import type { LocalFacts } from "./local-facts.ts";
import { printDesired } from "./print.ts";
import type { KernelState } from "./state.ts";
import { compileOnce, type TestCluster, type TestMesh, testLocal, testMap } from "./testing.ts";

/** What every gateway of the mesh would hold, by "cluster.ordinal". */
function planAll(mesh: TestMesh, facts: Partial<LocalFacts> = { ipv6: "routed" }): Map<string, KernelState> {
  const map = testMap(mesh);
  const gateways = mesh.clusters.flatMap(({ id, gateways = [] }) => gateways.map(({ ordinal }) => ({ id, ordinal })));
  return new Map(
    gateways.map(({ id, ordinal }) => {
      return [`${id}.${ordinal}`, flatten(compileOnce(map, testLocal(map, id, ordinal, facts)).desired)];
    }),
  );
}

describe("a plan of any mesh", () => {
  test("is symmetric: whoever I have as a peer has me as a peer, on the same plane", () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        const plans = planAll(mesh);
        const tunnels = [...plans.values()].flatMap(({ links, peers }) =>
          peers.map(({ device, publicKey }) => {
            const lane = links.find(({ name }) => name === device);
            return [lane?.kind === "wireguard" ? lane.publicKey : "", publicKey] as const;
          }),
        );
        const both = new Set(tunnels.map((keys) => keys.join()));
        expect(tunnels.filter(([mine, theirs]) => !both.has([theirs, mine].join()))).toEqual([]);
      }),
    );
  });

  test("gives each address to one peer of a device, and only what is admitted or carried", () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        for (const [self, { peers }] of planAll(mesh)) {
          for (const [, ofDevice] of Map.groupBy(peers, ({ device }) => device)) {
            const allowed = ofDevice.flatMap(({ allowedIps }) => allowedIps).map(parseCidr);
            expect(allowed.filter((a, i) => allowed.slice(i + 1).some((b) => overlaps(a, b)))).toEqual([]);
          }
          for (const { publicKey, allowedIps } of peers) {
            const mayHave = entitled(mesh, self.slice(0, 2), ownerOf(mesh, publicKey)).map(parseCidr);
            const beyond = allowedIps.map(parseCidr).filter((ip) => !mayHave.some((range) => containsCidr(range, ip)));
            expect(beyond).toEqual([]);
          }
        }
      }),
    );
  });

  test("covers every route with a blackhole", () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        for (const { routes } of planAll(mesh).values()) {
          const holes = routes.filter(({ target }) => target.kind === "blackhole");
          const bare = routes.filter(
            ({ target, destination, table }) =>
              (target.kind === "nexthop" || target.kind === "device") &&
              !holes.some(
                (hole) => hole.table === table && containsCidr(parseCidr(hole.destination), parseCidr(destination)),
              ),
          );
          expect(bare).toEqual([]);
        }
      }),
    );
  });

  test("guards every other cluster's prefixes and block, linked or not", () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        for (const [self, { firewall }] of planAll(mesh)) {
          const others = mesh.clusters.filter(({ id }) => !self.startsWith(id));
          expect(firewall?.remote).toEqual(others.flatMap(owned).sort());
        }
      }),
    );
  });

  test("refers to nothing that it does not make, and makes nothing twice", () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        for (const { links, addresses, peers, nexthops, routes } of planAll(mesh).values()) {
          const devices = new Set(links.map(({ name }) => name));
          const ids = new Set(nexthops.map(({ id }) => id));
          expect(ids.size).toBe(nexthops.length);
          expect(new Set(routes.map(({ destination, metric }) => `${destination} ${metric}`)).size).toBe(routes.length);
          const used = [
            ...[...addresses, ...peers].map(({ device }) => devices.has(device)),
            ...nexthops.map((each) => (each.kind === "device" ? devices.has(each.device) : each.members.length > 0)),
            ...nexthops.flatMap((each) => (each.kind === "group" ? each.members.map(({ id }) => ids.has(id)) : [])),
            ...routes.map(({ target }) => target.kind !== "nexthop" || ids.has(target.id)),
            ...routes.map(({ target }) => target.kind !== "device" || devices.has(target.device)),
          ];
          expect(used).not.toContain(false);
        }
      }),
    );
  });

  test("does not depend on the order in which records arrived", () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        const reversed = { ...mesh, clusters: mesh.clusters.toReversed() };
        expect(planAll(reversed)).toEqual(planAll(mesh));
      }),
    );
  });

  test("holds nothing of a cluster that is gone", () => {
    fc.assert(
      fc.property(anyMesh, ({ clusters, ...rest }) => {
        const [gone, ...others] = clusters;
        if (gone === undefined) return;
        const map = testMap({ ...rest, clusters });
        for (const { id, gateways = [] } of others) {
          for (const { ordinal } of gateways) {
            const local = testLocal(map, id, ordinal, { ipv6: "routed" });
            const compiler = createCompiler();
            compiler.compile({ view: map, local, liveness: new Map() });
            const without = testMap({ ...rest, clusters: others });
            const after = compiler.compile({ view: without, local, liveness: new Map() });
            expect(after && printDesired(after.desired)).toBe(printDesired(compileOnce(without, local).desired));
            const text =
              after &&
              JSON.stringify(flatten(after.desired), (_, value) => (typeof value === "bigint" ? String(value) : value));
            for (const range of owned(gone)) expect(text).not.toContain(`"${range}"`);
          }
        }
      }),
    );
  });
});

function owned({ prefixes, block }: TestCluster): readonly string[] {
  const overlay = parseOverlay({ overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/48" });
  return [...prefixes, overlayBlock(overlay, block, "ipv4").text, overlayBlock(overlay, block, "ipv6").text];
}

/** Test keys begin with the block they belong to. */
function ownerOf({ clusters }: TestMesh, publicKey: string): TestCluster | undefined {
  const block = atob(publicKey).charCodeAt(1);
  return clusters.find((cluster) => cluster.block === block);
}

/** What a peer of `owner` may carry at `self`: its own, and that of the clusters whose link with us names it. */
function entitled(mesh: TestMesh, self: string, owner: TestCluster | undefined): readonly string[] {
  const { linkPolicy } = testMap(mesh);
  const parties = new Map(mesh.clusters.map(({ id, labels = {} }) => [id, { id, labels }]));
  const own = parties.get(self) ?? { id: self, labels: {} };
  const carried = mesh.clusters.filter(({ id }) => {
    const verdict = judgePair(linkPolicy, own, parties.get(id) ?? own);
    return verdict.linked && verdict.transit === owner?.id;
  });
  return [...(owner === undefined ? [] : [owner]), ...carried].flatMap(owned);
}
