import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import { makeTestDirectory } from "@spanwire/gateway/testing";
import { expect, test } from "vitest";
import { listDifferences } from "./chaos-differences.ts";
import { type ChaosGateway, nameOf, startChaosGateway } from "./chaos-gateway.ts";
import { startChaosHub } from "./chaos-hub.ts";

const SOON = { timeout: 60_000, interval: 50 };
/** Nobody joins with a token of former times: the claim of one that was used may be lost. */
const VOID = /void since the hub's store was made anew|not one of this hub/;

test.each([
  "rolled back to an old copy",
  "made anew",
])("a store that was %s is noticed, not obeyed, and healed by what the agents hold", async (damage) => {
  await using mesh = await openMesh();
  const { hub } = mesh;
  const [unused, used] = [await mesh.token("asia"), await mesh.token("plant")];
  const gateways = [await mesh.join("eu"), await mesh.join("us")];
  const store = join(hub.directory, "nats/jetstream");
  await hub.whileDown(() => cp(store, `${store}.old`, { recursive: true }));
  const [, us] = gateways;
  await us?.kill(0, "192.0.2.99"); // moves
  gateways.push(await mesh.join("plant", used));
  await expect.poll(() => listDifferences(hub, gateways), SOON).toEqual([]);
  const before = gateways.map(({ position }) => position.lineage);
  const changed = gateways.map(({ changes }) => changes.length);

  const conditions = () => gateways.flatMap((gateway) => gateway.conditions.map(({ type }) => type));
  await hub.whileDown(async () => {
    await rm(store, { recursive: true });
    if (damage !== "made anew") await rename(`${store}.old`, store);
  });
  await expect.poll(() => gateways.some(({ handedBack }) => handedBack > 0), SOON).toBe(true);
  await expect.poll(() => listDifferences(hub, gateways), SOON).toEqual([]);
  await expect.poll(conditions, SOON).toEqual([]);
  const { clusters } = await hub.ask((fleet, options) => fleet.listClusters({}, options));
  const admitted = clusters.flatMap(({ id: clusterId, gateways: those }) =>
    those.map(({ ordinal, identityKey }) =>
      nameOf({ clusterId, ordinal, identityKey: Buffer.from(identityKey).toString("hex") }),
    ),
  );
  expect(admitted.sort()).toEqual(gateways.map(nameOf).sort());
  expect(gateways.flatMap(({ changes }, at) => changes.slice(changed[at]))).toEqual([]);
  const behind = () => gateways.filter(({ position }, at) => position.lineage <= (before[at] ?? 0n)).map(nameOf);
  await expect.poll(behind, SOON).toEqual([]);
  await expect(mesh.join("asia", unused)).rejects.toThrow(VOID);
  await expect(mesh.join("plant", used)).rejects.toThrow(VOID);
});

async function openMesh() {
  await using opening = new AsyncDisposableStack();
  const directory = opening.use(await makeTestDirectory()).path;
  const hub = opening.use(await startChaosHub());
  let joined = 0;
  const token = async (clusterId: string) => {
    const created = await hub.ask((fleet, options) => fleet.createToken({ clusterId }, options));
    return new Secret(Buffer.from(created.token));
  };
  const open = opening.move();
  return {
    hub,
    token,
    async join(clusterId: string, given?: Secret): Promise<ChaosGateway> {
      joined += 1;
      return open.use(
        await startChaosGateway({
          directory: join(directory, `${joined}`),
          token: given ?? (await token(clusterId)),
          prefixes: [`10.${joined}.0.0/16`],
          host: `192.0.2.${joined}`,
          patienceMs: 60_000,
        }),
      );
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
