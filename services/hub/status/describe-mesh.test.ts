import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { RecordMap } from "@spanwire/core/records/record-map";
import { MESH_ID } from "@spanwire/core/records/testing";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import { AdmissionSchema } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { by, crypto, root, signerFrom } from "../state/testing.ts";
import { describeMesh, type MeshFacts } from "./describe-mesh.ts";
import { NOTHING_HEARD, SILENCE_MS } from "./gateway-report.ts";

const NOW = 1_800_000_000_000;
const order = { incarnation: 1n, generation: 1n };
const later = { $unknown: [{ no: 900, wireType: 0, data: new Uint8Array([1]) }] };

async function facts(more: Partial<MeshFacts> = {}): Promise<MeshFacts> {
  const records = new RecordMap({ meshId: MESH_ID, authorityKey: root.publicKey, ...crypto });
  records.offer("cluster.eu", await by.admission("eu", [signerFrom(3)]));
  return {
    records,
    lineage: 1n,
    sequence: 1,
    reportOf: () => ({ ...NOTHING_HEARD, heardAtMs: NOW - 1_000 }),
    sinceMs: NOW - 10 * SILENCE_MS,
    goneAtMs: () => undefined,
    hubConditions: [],
    nowMs: NOW,
    ...more,
  };
}

const conditionsOf = (of: MeshFacts) => describeMesh(of).conditions.map(({ type, message }) => `${type}: ${message}`);

test("a mesh in which all is heard and known has no condition", async () => {
  expect(conditionsOf(await facts())).toEqual([]);
});

test("a gateway of which nothing is heard is unreachable since its last word, or since its connection ended", async () => {
  const silent = { ...NOTHING_HEARD, heardAtMs: NOW - SILENCE_MS - 1 };
  const since = (ms: number) =>
    `GatewayUnreachable: nothing heard from gateway eu/0 since ${new Date(ms).toISOString()}`;
  expect(conditionsOf(await facts({ reportOf: () => silent }))).toEqual([since(silent.heardAtMs)]);
  expect(conditionsOf(await facts({ goneAtMs: () => NOW - 5 }))).toEqual([since(NOW - 5)]);
  const status = describeMesh(await facts({ reportOf: () => silent }));
  expect(status.clusters[0]?.gateways[0]?.lastSeen).toEqual(timestampFromMs(silent.heardAtMs));
});

test("a status that cannot be read is left out, and the gateway was heard all the same", async () => {
  const gatewayOf = (of: MeshFacts) => describeMesh(of).clusters[0]?.gateways[0];
  const heard = (statusBytes: Uint8Array) => ({ reportOf: () => ({ ...NOTHING_HEARD, heardAtMs: NOW, statusBytes }) });
  const good = toBinary(GatewayStatusSchema, create(GatewayStatusSchema, { agentVersion: "1.2.3" }));
  expect(gatewayOf(await facts(heard(good)))?.status?.agentVersion).toBe("1.2.3");
  const bad = gatewayOf(await facts(heard(new Uint8Array([0xff, 0xff]))));
  expect(bad).toMatchObject({ lastSeen: timestampFromMs(NOW) });
  expect(bad?.status).toBeUndefined();
});

test("records and fields of a later version are named", async () => {
  const of = await facts();
  of.records.offer("novelty.x", await by.sign(root, { key: "novelty.x", ...order }));
  const value = { ...create(AdmissionSchema, { clusterId: "us" }), ...later };
  of.records.offer(
    "cluster.us",
    await by.sign(root, { key: "cluster.us", ...order, body: { case: "admission", value } }),
  );
  expect(conditionsOf(of)).toEqual([
    'UnknownRecord: record "novelty.x" is of a type that this hub does not know; it is kept and forwarded',
    'UnknownFields: record "cluster.us" has fields that this hub does not know; they are kept and forwarded',
  ]);
});
