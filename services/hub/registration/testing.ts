/** @module A hub's registration over a store in memory, and gateways that join it: for tests. */
import { createSecretKey } from "node:crypto";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { JoinToken } from "@spanwire/core/identity/join-token";
import { proofSigningInput } from "@spanwire/core/records/signing-input";
import { MESH_ID } from "@spanwire/core/records/testing";
import { ClusterKind } from "@spanwire/proto/record";
import {
  type LeaveRequest,
  LeaveRequestSchema,
  type RegisterRequest,
  RegisterRequestSchema,
  RegistrationSchema,
  RenewalSchema,
  type RenewRequest,
  RenewRequestSchema,
} from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createNkeyPair } from "@spanwire/runtime/crypto/nkey";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createSigner, generateSigningKey, type LocalSigner } from "@spanwire/runtime/crypto/signing-key";
import { createRequestValidator } from "@spanwire/runtime/grpc/request-validator";
import { NO_AUDIT } from "../audit/testing.ts";
import { openCertificateAuthority } from "../authority/ca.ts";
import { ensureGenesis } from "../authority/genesis.ts";
import { createKeyRing } from "../oidc/issuer-keys.ts";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import type { HubMap } from "../state/mesh-view.ts";
import type { StateStore } from "../state/port.ts";
import { crypto, followMap, online, root } from "../state/testing.ts";
import { createAdmissionWriter } from "./admission-writer.ts";
import { issueChallenge } from "./challenge.ts";
import { leave } from "./leave.ts";
import { register } from "./register.ts";
import type { RegistrationOptions } from "./registration-service.ts";
import { renew } from "./renew.ts";
import { createToken, type TokenRequest } from "./tokens.ts";

const secrets = createFakeSecretStore();
const nonceKey = createSecretKey(new Uint8Array(32).fill(4));
const validate = createRequestValidator();
const HOUR_MS = 3_600_000;

export const frame = {
  hubAddress: "hub.example:7443",
  caSpkiSha256: new Uint8Array(32),
  authoritySha256: new Uint8Array(32),
};

/** A hub process: its own map, writer and memory over a store that others may share. */
export async function startTestHub(store: StateStore, changes: Partial<RegistrationOptions> = {}): Promise<TestHub> {
  const nowMs = systemClock.now();
  const mesh = { meshId: MESH_ID, createdAtMs: 0, overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd00:1:2::/48" };
  const ca = await openCertificateAuthority(secrets, { meshId: MESH_ID, nowMs });
  await ensureGenesis(store.map, { mesh: { ...mesh, maxGateways: 4 }, root, online, ca }, crypto);
  const followed = followMap(store, { clock: systemClock });
  const { map } = followed;
  const base = { store, map, meshId: MESH_ID, signers: { root, online }, clock: systemClock };
  const options: RegistrationOptions = {
    ...base,
    writer: createAdmissionWriter(base),
    users: {
      issue: ({ nkey }) => `jwt of ${nkey}`,
      isBanned: async (nkey) => (await store.registry.get(`ban.${nkey}`)) !== undefined,
      ban: async (nkey) => void (await store.registry.create(`ban.${nkey}`, new Uint8Array(1))),
    },
    ca,
    authorityKey: root.publicKey,
    nats: { urls: ["tls://hub.example:4222"], caPem: ca.certificatePem },
    nonceKey,
    verify: crypto.verify,
    keyRing: createKeyRing({ clock: systemClock, onFailure: () => {} }),
    validate,
    admissionLeaseMs: 24 * HOUR_MS,
    limitCluster: () => {},
    audit: NO_AUDIT,
    ...changes,
  };
  await map.whenCurrent(AbortSignal.timeout(60_000));
  return {
    options,
    map,
    register: (request) => register(options, request, signal()),
    renew: (request) => renew(options, request, signal()),
    leave: (request) => leave(options, request, signal()),
    token: async (clusterId, more = {}) => {
      const request = { clusterId, ordinal: undefined, ttlMs: HOUR_MS, ...more };
      const now = { nowMs: systemClock.now(), lineage: map.lineage };
      return (await createToken(store.registry, request, { ...now, frame, randomBytes })).token;
    },
    [Symbol.asyncDispose]: () => followed[Symbol.asyncDispose](),
  };
}

export interface TestHub extends AsyncDisposable {
  readonly options: RegistrationOptions;
  readonly map: HubMap;
  register(request: RegisterRequest): ReturnType<typeof register>;
  renew(request: RenewRequest): ReturnType<typeof renew>;
  leave(request: LeaveRequest): ReturnType<typeof leave>;
  token(clusterId: string, more?: Partial<TokenRequest>): Promise<JoinToken>;
}

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

export interface Gateway {
  readonly signer: LocalSigner;
  readonly nkey: string;
  register(token: JoinToken, wish?: Wish): RegisterRequest;
  registerAs(clusterId: string, workloadToken: string, wish?: Wish): RegisterRequest;
  renew(clusterId: string, ordinal?: number): RenewRequest;
  leave(clusterId: string, ordinal?: number): LeaveRequest;
}

export interface Wish {
  readonly prefixes?: string[];
  readonly labels?: Record<string, string>;
  readonly ordinal?: number;
  readonly nkey?: string;
}

/** A gateway's own keys, and the requests that it would send. */
export function createGateway(): Gateway {
  const signer = createSigner(generateSigningKey().privateKey);
  const nkey = createNkeyPair("user", generateSigningKey().privateKey).publicKey;

  function prove<D extends DescMessage>(method: string, schema: D, message: MessageInitShape<D>) {
    const body = toBinary(schema, create(schema, message));
    const nonce = new Uint8Array(issueChallenge(nonceKey, systemClock.now(), randomBytes(16)).nonce);
    const signature = new Uint8Array(signer.signNow(proofSigningInput(method, nonce, sha256(body))));
    return { body, proof: { nonce, identityKey: new Uint8Array(signer.publicKey), signature } };
  }
  return {
    signer,
    nkey,
    register({ id, secret, clusterId }, wish = {}) {
      const token = { id, secret: new Uint8Array(secret.reveal()) };
      const body = { token, clusterId, kind: ClusterKind.VM, nkey, ...wish };
      return create(RegisterRequestSchema, prove("Register", RegistrationSchema, body));
    },
    registerAs(clusterId, workloadToken, wish = {}) {
      const body = { workloadToken, clusterId, kind: ClusterKind.KUBERNETES, nkey, ...wish };
      return create(RegisterRequestSchema, prove("Register", RegistrationSchema, body));
    },
    renew: (clusterId, ordinal = 0) =>
      create(RenewRequestSchema, prove("Renew", RenewalSchema, { clusterId, ordinal })),
    leave: (clusterId, ordinal = 0) =>
      create(LeaveRequestSchema, prove("Leave", RenewalSchema, { clusterId, ordinal })),
  };
}
