/** @module Whole hubs in a test: real ports, real TLS, a real nats-server, gone with the test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Invite } from "@spanwire/core/identity/invite";
import { type JoinToken, parseJoinToken } from "@spanwire/core/identity/join-token";
import type { Secret } from "@spanwire/core/identity/secret";
import { proofSigningInput } from "@spanwire/core/records/signing-input";
import { FleetService } from "@spanwire/proto/fleet";
import { ClusterKind } from "@spanwire/proto/record";
import { RegistrationSchema, RegistrationService, RenewalSchema } from "@spanwire/proto/registration";
import { encodeEd25519Request } from "@spanwire/runtime/crypto/certificate-request";
import { createNkeyPair, type NkeyPair } from "@spanwire/runtime/crypto/nkey";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createSigner, generateSigningKey, type LocalSigner } from "@spanwire/runtime/crypto/signing-key";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient, type ServiceClient } from "@spanwire/runtime/grpc/client";
import { fetchPinnedChain } from "@spanwire/runtime/grpc/pin";
import { createRecordingLog, type RecordingLog } from "@spanwire/runtime/log/recording-log";
import { clientTlsOf } from "@spanwire/runtime/operator-context/client-tls";
import { type OperatorContext, readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import type { z } from "zod";
import { natsServerPath } from "../../test/lab/nats-server.ts";
import { type HubConfig, hubConfigSchema } from "./config.ts";
import { type HubReady, run } from "./main.ts";

export interface RunningHub extends AsyncDisposable {
  readonly ready: HubReady;
  readonly config: HubConfig;
  readonly context: OperatorContext;
  readonly fleet: ServiceClient<typeof FleetService>;
  readonly log: RecordingLog;
  /** Stops it and waits for its end; its directory stays. */
  stop(): Promise<void>;
  token(clusterId: string, more?: TokenWish): Promise<JoinToken>;
}

export interface TokenWish {
  readonly ttl?: { readonly seconds: bigint; readonly nanos?: number };
  readonly ordinal?: number;
}

export async function makeDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "spanwire-hub-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Starts a hub in this process and returns when it takes calls. All ports are free ones unless `settings` say, and its
 * directory one of its own, which goes when the hub is disposed of.
 */
export async function startHub(settings: Partial<z.input<typeof hubConfigSchema>> = {}): Promise<RunningHub> {
  const binary = await natsServerPath();
  const { dir, nats, ...rest } = settings;
  await using making = new AsyncDisposableStack();
  const config = hubConfigSchema.parse({
    dir: dir ?? making.use(await makeDirectory()).path,
    listen: "127.0.0.1",
    registrationPort: 0,
    fleetPort: 0,
    nats: { port: 0, binary, ...nats },
    limits: { callsPerSecond: 10_000, callBurst: 10_000 },
    ...rest,
  });
  const stopping = new AbortController();
  const log = createRecordingLog();
  const { promise, resolve, reject } = Promise.withResolvers<HubReady>();
  const ended = run(config, { log, searchPath: dirname(binary), signal: stopping.signal, onReady: resolve });
  ended.catch(reject);
  const ready = await promise;
  const context = await readOperatorContext(ready.contextFile);
  const channel = openChannel({ address: ready.fleetAddress, tls: clientTlsOf(context) });
  const fleet = createClient(FleetService, channel);
  const stop = async () => {
    channel.close();
    stopping.abort();
    await ended;
  };
  const made = making.move();
  return {
    ready,
    config,
    context,
    fleet,
    log,
    stop,
    async token(clusterId, more = {}) {
      const { token } = await fleet.createToken({ clusterId, ...more }, CALL);
      return parseJoinToken(token);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await made.disposeAsync();
    },
  };
}

export const CALL = { timeoutMs: 60_000 };

export type RegistrationClient = ServiceClient<typeof RegistrationService> & Disposable;

/** As an agent finds the hub: the CA by its pin, then a connection that verifies with it. */
export async function openRegistration({ hubAddress: address, caSpkiSha256 }: Invite): Promise<RegistrationClient> {
  const caPem = await fetchPinnedChain({
    address,
    spkiSha256: caSpkiSha256,
    signal: AbortSignal.timeout(CALL.timeoutMs),
  });
  const channel = openChannel({ address, tls: { caPem } });
  return Object.assign(createClient(RegistrationService, channel), { [Symbol.dispose]: () => channel.close() });
}

export interface Wish {
  readonly prefixes?: string[];
  readonly labels?: Record<string, string>;
  readonly ordinal?: number;
  readonly certificateRequest?: Uint8Array<ArrayBuffer>;
}

export interface TestGateway {
  readonly privateKey: Secret;
  readonly signer: LocalSigner;
  readonly nkey: NkeyPair;
  /** Registers over a connection of its own. */
  register(token: JoinToken, wish?: Wish): ReturnType<RegistrationClient["register"]>;
  /** The same with the token of a workload. */
  registerAs(invite: Invite, workloadToken: string, wish?: Wish): ReturnType<RegistrationClient["register"]>;
  renew(hub: Invite, ordinal?: number): ReturnType<RegistrationClient["renew"]>;
  leave(hub: Invite, ordinal?: number): ReturnType<RegistrationClient["leave"]>;
  /** Signs a call with a fresh nonce. */
  prove(client: RegistrationClient, method: string, body: Uint8Array): Promise<ProvenCall>;
}

export interface ProvenCall {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly proof: MessageInitShape<typeof RegistrationService.method.register.input>["proof"];
}

/** A gateway with keys of its own; `token` says where the hub is and for which cluster. */
export function createTestGateway(): TestGateway {
  const { privateKey } = generateSigningKey();
  const signer = createSigner(privateKey);
  const nkey = createNkeyPair("user", generateSigningKey().privateKey);

  async function prove(client: RegistrationClient, method: string, body: Uint8Array): Promise<ProvenCall> {
    const { nonce } = await client.challenge({}, CALL);
    const signature = new Uint8Array(signer.signNow(proofSigningInput(method, nonce, sha256(body))));
    return { body: new Uint8Array(body), proof: { nonce, identityKey: new Uint8Array(signer.publicKey), signature } };
  }
  async function asMember(invite: Invite, ordinal: number, method: "Renew" | "Leave") {
    const client = await openRegistration(invite);
    const wanted = { clusterId: invite.clusterId, ordinal, certificateRequest: await encodeEd25519Request(signer) };
    const body = toBinary(RenewalSchema, create(RenewalSchema, wanted));
    return { client, call: await prove(client, method, body) };
  }
  return {
    privateKey,
    signer,
    nkey,
    prove,
    async register(token, wish = {}) {
      using client = await openRegistration(token);
      const whole = { certificateRequest: await encodeEd25519Request(signer), ...wish };
      return await client.register(await prove(client, "Register", encodeWish(token, nkey, whole)), CALL);
    },
    async registerAs(invite, workloadToken, wish = {}) {
      using client = await openRegistration(invite);
      const whole = { workloadToken, clusterId: invite.clusterId, kind: ClusterKind.KUBERNETES, ...wish };
      const body = toBinary(RegistrationSchema, create(RegistrationSchema, { nkey: nkey.publicKey, ...whole }));
      return await client.register(await prove(client, "Register", body), CALL);
    },
    async renew(hub, ordinal = 0) {
      const { client, call } = await asMember(hub, ordinal, "Renew");
      using _ = client;
      return await client.renew(call, CALL);
    },
    async leave(hub, ordinal = 0) {
      const { client, call } = await asMember(hub, ordinal, "Leave");
      using _ = client;
      return await client.leave(call, CALL);
    },
  };
}

export function encodeWish(token: JoinToken, nkey: NkeyPair, wish: Wish): Uint8Array {
  const { id, secret, clusterId } = token;
  const shown = { id, secret: new Uint8Array(secret.reveal()) };
  const whole = { token: shown, clusterId, kind: ClusterKind.VM, nkey: nkey.publicKey, ...wish };
  return toBinary(RegistrationSchema, create(RegistrationSchema, whole));
}
