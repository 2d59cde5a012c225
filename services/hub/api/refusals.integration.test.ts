import { DefaultLinks } from "@spanwire/proto/record";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CALL, type RunningHub, startHub } from "../testing.ts";

let hub: RunningHub;
beforeAll(async () => {
  hub = await startHub();
});
afterAll(() => hub?.[Symbol.asyncDispose]());

const INVALID = "INVALID_REQUEST";

describe("refuses, and says why:", () => {
  const link = { name: "x", left: {}, right: {} };
  const policy = (links: object[], defaultLinks: DefaultLinks = DefaultLinks.FULL_MESH) =>
    ({ policy: { defaultLinks, links } }) as never;
  const allow = (rule: object) => policy([{ ...link, allow: [{ direction: 1, protocol: 1, ...rule }] }]);
  const cases: { name: string; reason: string; call: (fleet: RunningHub["fleet"]) => Promise<unknown> }[] = [
    { name: "a token for no cluster", reason: INVALID, call: (fleet) => fleet.createToken({}, CALL) },
    { name: "a token for a wildcard", reason: INVALID, call: (fleet) => fleet.createToken({ clusterId: ">" }, CALL) },
    {
      name: "a token for no time",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ttl: { seconds: 0n } }, CALL),
    },
    {
      name: "a token for the past",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ttl: { seconds: -1n } }, CALL),
    },
    {
      name: "a token for 8 days",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ttl: { seconds: 8n * 86_400n } }, CALL),
    },
    {
      name: "a token for ordinal 16",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ordinal: 16 }, CALL),
    },
    {
      name: "a token for an ordinal that the mesh has not",
      reason: "ORDINAL_OUT_OF_RANGE",
      call: (fleet) => fleet.createToken({ clusterId: "eu", ordinal: 2 }, CALL),
    },
    { name: "a token id that is a key", reason: INVALID, call: (fleet) => fleet.revokeToken({ id: "a.b" }, CALL) },
    {
      name: "a token that is none",
      reason: "TOKEN_NOT_FOUND",
      call: (fleet) => fleet.revokeToken({ id: "0000000000000000" }, CALL),
    },
    { name: "no cluster", reason: INVALID, call: (fleet) => fleet.getCluster({}, CALL) },
    {
      name: "a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.getCluster({ id: "none" }, CALL),
    },
    {
      name: "an update of a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.updateCluster({ id: "none" }, CALL),
    },
    {
      name: "an update to a prefix with host bits",
      reason: INVALID,
      call: (fleet) => fleet.updateCluster({ id: "none", prefixes: ["10.0.0.1/8"] }, CALL),
    },
    {
      name: "a revocation of a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.revokeCluster({ id: "none" }, CALL),
    },
    {
      name: "a reason of 257 characters",
      reason: INVALID,
      call: (fleet) => fleet.revokeCluster({ id: "none", reason: "x".repeat(257) }, CALL),
    },
    {
      name: "a revocation of a gateway that is none",
      reason: "GATEWAY_NOT_FOUND",
      call: (fleet) => fleet.revokeGateway({ clusterId: "none" }, CALL),
    },
    {
      name: "a revocation of ordinal 16",
      reason: INVALID,
      call: (fleet) => fleet.revokeGateway({ clusterId: "none", ordinal: 16 }, CALL),
    },
    {
      name: "a gateway that is none and should drain",
      reason: "GATEWAY_NOT_FOUND",
      call: (fleet) => fleet.setDraining({ clusterId: "none", draining: true }, CALL),
    },
    {
      name: "a deletion of a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.deleteCluster({ id: "none" }, CALL),
    },
    {
      name: "a watch for nothing",
      reason: INVALID,
      call: (fleet) => fleet.watchAcknowledgements({}, CALL).next(),
    },
    {
      name: "a watch for 65 tombstones",
      reason: INVALID,
      call: (fleet) =>
        fleet.watchAcknowledgements({ ended: Array.from({ length: 65 }, () => ({ key: "x" })) }, CALL).next(),
    },
    { name: "no policy", reason: INVALID, call: (fleet) => fleet.setLinkPolicy({}, CALL) },
    { name: "a policy without a default", reason: INVALID, call: (fleet) => fleet.setLinkPolicy(policy([], 0), CALL) },
    {
      name: "a link without a name",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([{ ...link, name: "" }]), CALL),
    },
    {
      name: "a link without a side",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([{ name: "x", left: {} }]), CALL),
    },
    {
      name: "two links of one name",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([link, link]), CALL),
    },
    {
      name: "ports without a protocol",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ ports: [{ first: 1, last: 2 }] }), CALL),
    },
    {
      name: "ports the wrong way round",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ protocol: 2, ports: [{ first: 2, last: 1 }] }), CALL),
    },
    {
      name: "port 65536",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ protocol: 2, ports: [{ first: 1, last: 65_536 }] }), CALL),
    },
    {
      name: "a source that is no prefix",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ sources: ["x"] }), CALL),
    },
    {
      name: "a direction of the future",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ direction: 9 }), CALL),
    },
    {
      name: "an end that carries its own traffic",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([{ ...link, left: { clusters: ["eu"] }, transit: "eu" }]), CALL),
    },
    {
      name: "257 links",
      reason: INVALID,
      call: (fleet) =>
        fleet.setLinkPolicy(policy(Array.from({ length: 257 }, (_, at) => ({ ...link, name: `l${at}` }))), CALL),
    },
  ];
  test.each(cases)("$name", async ({ reason, call }) => {
    const { generation } = await hub.fleet.getLinkPolicy({}, CALL);
    await expect(call(hub.fleet)).rejects.toMatchObject({ reason });
    expect((await hub.fleet.getLinkPolicy({}, CALL)).generation).toBe(generation);
  });
});
