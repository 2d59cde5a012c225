/** @module Those who join: each with a TLS connection of its own, a few at a time. */
import { create, toBinary } from "@bufbuild/protobuf";
import { type JoinToken, parseJoinToken } from "@spanwire/core/identity/join-token";
import type { GatewayIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { prove } from "@spanwire/gateway/join/proof";
import { register, type Wish } from "@spanwire/gateway/join/register";
import { byJoinToken } from "@spanwire/gateway/join/way-in";
import { ClusterKind } from "@spanwire/proto/record";
import { RegistrationSchema, RegistrationService } from "@spanwire/proto/registration";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { ECHO } from "./echo.ts";
import { identityOf, type Site } from "./made-up-mesh.ts";
import { serveParent } from "./serve-parent.ts";

export interface Joining {
  readonly site: Site;
  readonly token: string;
}

export interface Joins {
  /** How long each took. */
  readonly eachMs: readonly number[];
  readonly allMs: number;
}

const TIMEOUT_MS = 30_000;
/** As large as a registration. */
const ECHO_BYTES = 400;
const FOR_EVER = new AbortController().signal;

const handlers = {
  /** A nonce and Register over one connection, the CA known. */
  registerAll: (joinings: readonly Joining[], { caPem, atOnce }: { caPem: string; atOnce: number }): Promise<Joins> =>
    eachInTurn(joinings.map(prepare), atOnce, (joining) => registerOver(joining, caPem)),

  /** As an agent joins: a first connection for the pin, a second one for the registration. */
  joinAll: (joinings: readonly Joining[], { atOnce }: { atOnce: number }): Promise<Joins> =>
    eachInTurn(joinings.map(prepare), atOnce, async ({ token, identity, wish }) => {
      await register({ way: byJoinToken(token), identity, wish, nowMs: Date.now, signal: FOR_EVER });
    }),

  echoAll: (count: number, { address, caPem, atOnce }: { address: string; caPem: string; atOnce: number }) =>
    eachInTurn(Array.from({ length: count }), atOnce, () => echoOver(address, caPem)),
};

export type JoinersProgram = typeof handlers;

interface Prepared {
  readonly token: JoinToken;
  readonly identity: GatewayIdentity;
  readonly wish: Wish;
}

/** Everything that an agent has done before it calls. */
function prepare({ site, token }: Joining): Prepared {
  const prefixes = [`10.${site.index >> 8}.${site.index & 255}.0/24`];
  const wish = { kind: ClusterKind.ON_PREMISES, prefixes, labels: {}, ordinal: undefined };
  return { token: parseJoinToken(token), identity: identityOf(site), wish };
}

async function registerOver({ token, identity, wish }: Prepared, caPem: string): Promise<void> {
  using channel = openChannel({ address: token.hubAddress, tls: { caPem } });
  const client = createClient(RegistrationService, channel);
  const { kind, prefixes } = wish;
  const shown = { id: token.id, secret: token.secret.reveal() };
  const nkey = identity.nkey.publicKey;
  const registration = { token: shown, clusterId: token.clusterId, kind, prefixes: [...prefixes], nkey };
  const body = toBinary(RegistrationSchema, create(RegistrationSchema, registration));
  const options = { timeoutMs: TIMEOUT_MS, signal: FOR_EVER };
  await client.register(await prove(client, "Register", body, { ...options, signer: identity.signer }), options);
}

async function echoOver(address: string, caPem: string): Promise<void> {
  using channel = openChannel({ address, tls: { caPem } });
  const { path, requestSerialize, responseDeserialize } = ECHO.echo;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const deadline = { deadline: Date.now() + TIMEOUT_MS };
  const bytes = Buffer.alloc(ECHO_BYTES);
  channel.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, bytes, deadline, (error) =>
    error === null ? resolve() : reject(error),
  );
  await promise;
}

/** Begins the next one whenever one has ended. */
async function eachInTurn<T>(items: readonly T[], atOnce: number, act: (item: T) => Promise<void>): Promise<Joins> {
  const eachMs: number[] = [];
  const left = items.values();
  const startMs = performance.now();
  const lane = async () => {
    for (const item of left) {
      const beganMs = performance.now();
      await act(item);
      eachMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { eachMs, allMs: performance.now() - startMs };
}

serveParent(handlers);
