import { RecordMap } from "@spanwire/core/records/record-map";
import { DefaultLinks, EpochState } from "@spanwire/proto/record";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { describe, expect, test } from "vitest";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import type { SecretStore } from "../secrets/port.ts";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { type AuthorityOptions, openAuthority } from "./authority.ts";
import { ensureGenesis, trustOf } from "./genesis.ts";

const crypto = { sha256, verify: createVerify() };
const open = (secrets: SecretStore = createFakeSecretStore(), options: Partial<AuthorityOptions> = {}) =>
  openAuthority(secrets, { nowMs: 1_700_000_000_000, randomBytes, ...options });

describe("authority", () => {
  test("is made once, by whoever is first", async () => {
    const secrets = createFakeSecretStore();
    const [one, two] = await Promise.all([open(secrets), open(secrets, { nowMs: 2_000_000_000_000 })]);
    expect(two.mesh).toEqual(one.mesh);
    expect(two.root.publicKey).toEqual(one.root.publicKey);
    expect(two.online.publicKey).toEqual(one.online.publicKey);
    expect(two.ca.certificatePem).toBe(one.ca.certificatePem);
    expect(one.root.publicKey).not.toEqual(one.online.publicKey);
    expect(one.mesh).toMatchObject({ overlayIpv4: "198.18.0.0/15", maxGateways: 2 });
    expect(one.mesh.meshId).toMatch(/^mesh-[a-z0-9]{8}$/);
    expect(one.mesh.overlayIpv6).toMatch(/^fd[0-9a-f]{1,2}:.*::\/48$/);
  });

  test("takes what is chosen, and holds to it", async () => {
    const secrets = createFakeSecretStore();
    const choice = { meshId: "lab", overlayIpv4: "100.64.0.0/16", overlayIpv6: "fd12:3456:789a::/48", maxGateways: 4 };
    expect((await open(secrets, { choice })).mesh).toMatchObject(choice);
    expect((await open(secrets, { choice: { meshId: "lab" } })).mesh).toMatchObject(choice);
    await expect(open(secrets, { choice: { maxGateways: 8 } })).rejects.toThrow(
      'mesh "lab": was made with maxGateways 4, which cannot become 8',
    );
  });

  test.each([
    { choice: { meshId: "Not a label" }, want: /not a DNS label/ },
    { choice: { overlayIpv4: "198.18.0.1/15" }, want: /host bits/ },
    { choice: { overlayIpv4: "fd00::/48" }, want: /of IPv4 and of IPv6/ },
    { choice: { maxGateways: 17 }, want: /not 1 to 16/ },
  ])("refuses $choice, and makes nothing", async ({ choice, want }) => {
    const secrets = createFakeSecretStore();
    await expect(open(secrets, { choice })).rejects.toThrow(want);
    expect(await secrets.read("mesh")).toBeUndefined();
  });
});

describe("genesis", () => {
  async function readMap(store: ReturnType<typeof createFakeStateStore>, authority: Awaited<ReturnType<typeof open>>) {
    const map = new RecordMap(trustOf(authority, crypto));
    for (const key of ["mesh", "delegation", "policy.links", "epoch"]) {
      const entry = await store.map.get(key);
      if (entry !== undefined) expect(map.offer(key, entry.bytes).kind).toBe("accepted");
    }
    return map;
  }

  test("writes the first records, once, also when several hubs do", async () => {
    const [authority, store] = [await open(), createFakeStateStore()];
    await Promise.all([ensureGenesis(store.map, authority, crypto), ensureGenesis(store.map, authority, crypto)]);
    await ensureGenesis(store.map, authority, crypto);
    const map = await readMap(store, authority);
    expect(map.mesh).toMatchObject({ meshId: authority.mesh.meshId, maxGateways: 2 });
    expect(map.delegation?.onlineKey).toEqual(authority.online.publicKey);
    expect(map.linkPolicy).toMatchObject({ defaultLinks: DefaultLinks.FULL_MESH, links: [] });
    expect(map.epoch).toMatchObject({ active: 0n, state: EpochState.STEADY });
    expect((await store.map.status()).lastSequence).toBe(4);
  });

  test("is the same bytes in a store made anew", async () => {
    const authority = await open();
    const [one, two] = [createFakeStateStore(), createFakeStateStore()];
    await ensureGenesis(one.map, authority, crypto);
    await ensureGenesis(two.map, authority, crypto);
    expect(await two.map.list()).toEqual(await one.map.list());
  });

  test("fills in what is missing and leaves what is there", async () => {
    const [authority, store] = [await open(), createFakeStateStore()];
    await ensureGenesis(store.map, authority, crypto);
    const before = await store.map.list();
    store.mapStore.purge("policy.links");
    await ensureGenesis(store.map, authority, crypto);
    expect((await store.map.list()).map(({ key, bytes }) => [key, bytes])).toEqual(
      before.map(({ key, bytes }) => [key, bytes]),
    );
  });

  test("keeps away from a store that was made with another online key", async () => {
    const [authority, store] = [await open(), createFakeStateStore()];
    await ensureGenesis(store.map, authority, crypto);
    const other = { ...authority, online: (await open()).online };
    await expect(ensureGenesis(store.map, other, crypto)).rejects.toMatchObject({ reason: "OTHER_MESH" });
    expect((await store.map.status()).lastSequence).toBe(4);
  });

  test("keeps away from another mesh's store", async () => {
    const store = createFakeStateStore();
    await ensureGenesis(store.map, await open(), crypto);
    await expect(ensureGenesis(store.map, await open(), crypto)).rejects.toMatchObject({
      code: "conflict",
      reason: "OTHER_MESH",
    });
    expect((await store.map.status()).lastSequence).toBe(4);
  });
});
