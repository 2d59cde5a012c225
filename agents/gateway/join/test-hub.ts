/** @module A RegistrationService for tests: real gRPC over TLS, answers chosen by the test. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import type { JoinToken } from "@spanwire/core/identity/join-token";
import { Secret } from "@spanwire/core/identity/secret";
import { proofSigningInput } from "@spanwire/core/records/signing-input";
import {
  type Credentials,
  CredentialsSchema,
  type Registration,
  RegistrationSchema,
  RegistrationService,
} from "@spanwire/proto/registration";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { bindService } from "@spanwire/runtime/grpc/handlers";
import { spkiSha256Of } from "@spanwire/runtime/grpc/pin";
import { serve } from "@spanwire/runtime/grpc/serve";
import { createServerTls } from "@spanwire/runtime/grpc/server-tls";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";

export interface TestHub extends AsyncDisposable {
  readonly token: JoinToken;
  /** Registrations that were proven, oldest first. */
  readonly registrations: readonly Registration[];
  readonly identityKeys: readonly Uint8Array[];
  /** Calls of Renew and Leave that were proven. */
  readonly calls: readonly string[];
  /** Thrown, once each and in this order, instead of answers. */
  readonly refusals: SpanwireError[];
  /** Changes what credentials say from now on. */
  credentials: Credentials;
}

const NONCE = new Uint8Array(40).fill(9);
const AUTHORITY_KEY = new Uint8Array(32).fill(5);

export async function startTestHub(): Promise<TestHub> {
  const verify = createVerify();
  const ca = await createTestCa();
  const registrations: Registration[] = [];
  const identityKeys: Uint8Array[] = [];
  const calls: string[] = [];
  const refusals: SpanwireError[] = [];
  const mapState = { lineage: 1n, sequence: 7n, digest: new Uint8Array(32) };
  const state: Pick<TestHub, "credentials"> = {
    credentials: create(CredentialsSchema, {
      meshId: "mesh-test",
      caPem: ca.caPem,
      authorityKey: AUTHORITY_KEY,
      natsUserJwt: "jwt-1",
    }),
  };

  function check(
    method: string,
    {
      body,
      proof,
    }: { body: Uint8Array; proof?: { nonce: Uint8Array; identityKey: Uint8Array; signature: Uint8Array } | undefined },
  ): Uint8Array {
    const message = proofSigningInput(method, proof?.nonce ?? new Uint8Array(), sha256(body));
    const key = proof?.identityKey ?? new Uint8Array();
    if (!verify(key, message, proof?.signature ?? new Uint8Array()))
      throw new SpanwireError("unauthenticated", "no proof");
    const refusal = refusals.shift();
    if (refusal !== undefined) throw refusal;
    return key;
  }
  const renewed = () => ({ credentials: state.credentials, mapState });

  const server = await serve({
    services: [
      bindService(RegistrationService, {
        challenge: async () => ({ nonce: NONCE }),
        register: async (request) => {
          identityKeys.push(check("Register", request));
          registrations.push(fromBinary(RegistrationSchema, request.body));
          return { ordinal: 0, incarnation: 1n, ...renewed() };
        },
        renew: async (request) => {
          check("Renew", request);
          calls.push("Renew");
          return renewed();
        },
        leave: async (request) => {
          check("Leave", request);
          calls.push("Leave");
          return {};
        },
      }),
    ],
    tls: createServerTls({ certificate: await ca.issue({}) }),
    address: { host: "127.0.0.1", port: 0 },
    log: createRecordingLog(),
  });

  return Object.assign(state, {
    token: {
      id: "abcdefgh01234567",
      secret: new Secret(new Uint8Array(32).fill(3)),
      clusterId: "eu",
      hubAddress: `127.0.0.1:${server.port}`,
      caSpkiSha256: spkiSha256Of(ca.caPem),
      authoritySha256: sha256(AUTHORITY_KEY),
    },
    registrations,
    identityKeys,
    calls,
    refusals,
    [Symbol.asyncDispose]: () => server.close(0),
  });
}
