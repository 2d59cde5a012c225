import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { SpanwireError } from "@spanwire/core/errors";
import { FleetService, OperatorRole } from "@spanwire/proto/fleet";
import { signingKeyPem } from "@spanwire/runtime/crypto/signing-key";
import { type ChannelOptions, openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRequestedKey } from "../authority/requested-key.ts";
import { CALL, createTestGateway, type RunningHub, startHub } from "../testing.ts";
import { ACCESS, methodName } from "./authorize.ts";

let hub: RunningHub;
beforeAll(async () => {
  hub = await startHub();
});
afterAll(() => hub?.[Symbol.asyncDispose]());

describe("lets in nobody but operators:", () => {
  const open = (tls: NonNullable<ChannelOptions["tls"]>) => openChannel({ address: hub.ready.fleetAddress, tls });

  test("a connection without a certificate ends before it is a call", async () => {
    using channel = open({ caPem: hub.context.caPem });
    await expect(createClient(FleetService, channel).getVersion({}, CALL)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("so does one with a certificate of another CA", async () => {
    const foreign = await (await createTestCa()).issue({ uri: `spiffe://${hub.ready.meshId}/operator/admin/a` });
    using channel = open({ caPem: hub.context.caPem, certificate: foreign });
    await expect(createClient(FleetService, channel).getVersion({}, CALL)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("a gateway's certificate may call no method", async () => {
    const gateway = createTestGateway();
    const joined = await gateway.register(await hub.token("eu"));
    const chainPem = joined.credentials?.certificatePem ?? "";
    using channel = open({
      caPem: hub.context.caPem,
      certificate: { chainPem, privateKeyPem: signingKeyPem(gateway.privateKey) },
    });
    const client = createClient(FleetService, channel);
    for (const { localName, methodKind } of FleetService.methods) {
      const method: unknown = Reflect.get(client, localName);
      if (typeof method !== "function") throw new Error(localName);
      const answer = methodKind === "unary" ? method({}, CALL) : method({}, CALL).next();
      await expect(answer, localName).rejects.toMatchObject({ code: "denied", reason: "OPERATOR_REQUIRED" });
    }
  });
});

describe("an operator is certified for a key of its own:", () => {
  const { publicKeySpki: publicKey, request: certificateRequest, privateKeyPem } = createRequestedKey();
  const key = { publicKey: new Uint8Array(publicKey), certificateRequest: new Uint8Array(certificateRequest) };

  test.each([
    { name: "a viewer", role: OperatorRole.VIEWER, allowed: ["viewer"] },
    { name: "an operator", role: OperatorRole.OPERATOR, allowed: ["viewer", "operator"] },
    { name: "an admin", role: OperatorRole.ADMIN, allowed: ["viewer", "operator", "admin"] },
  ])("$name may call what is for $allowed, over TLS", async ({ role, allowed }) => {
    const made = await hub.fleet.createOperator({ name: "alice", role, ...key, ttl: { seconds: 60n } }, CALL);
    const { validTo } = new X509Certificate(made.certificatePem);
    expect(Date.parse(validTo)).toBe(Number(made.expiresAt?.seconds) * 1_000);
    const certificate = { chainPem: made.certificatePem, privateKeyPem };
    using channel = openChannel({ address: hub.ready.fleetAddress, tls: { caPem: hub.context.caPem, certificate } });
    const client = createClient(FleetService, channel);
    for (const descriptor of FleetService.methods) {
      const { localName, methodKind } = descriptor;
      // Most of these empty requests are refused, for another reason.
      const call = Reflect.get(client, localName)({}, CALL);
      const answer: unknown = await (methodKind === "unary" ? call : call.next()).catch((error: unknown) => error);
      if (methodKind !== "unary") await call.return();
      const isRefused = answer instanceof SpanwireError && answer.reason === "ROLE_REQUIRED";
      expect({ localName, isRefused }).toEqual({
        localName,
        isRefused: !allowed.includes(ACCESS.get(methodName(descriptor)) ?? ""),
      });
    }
  });

  test.each([
    { name: "no key", bad: { publicKey: new Uint8Array(91) } },
    { name: "a key of another kind", bad: { publicKey: largerSpki() } },
    { name: "a key with something behind it", bad: { publicKey: new Uint8Array([...publicKey, 0]) } },
  ])("$name is refused", async ({ bad }) => {
    const wish = { name: "alice", role: OperatorRole.VIEWER, ...key, ...bad };
    await expect(hub.fleet.createOperator(wish, CALL)).rejects.toMatchObject({ reason: "BAD_PUBLIC_KEY" });
  });

  function largerSpki(): Uint8Array<ArrayBuffer> {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-384" });
    return new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" }));
  }
});
