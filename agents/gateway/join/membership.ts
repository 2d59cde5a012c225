/** @module What Register answered, on disk: who this gateway is in the mesh, and what it needs to talk. */

import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import {
  type Credentials,
  type MapState,
  type RegisterResponse,
  RegisterResponseSchema,
} from "@spanwire/proto/registration";
import { readState, writeState } from "@spanwire/runtime/files/state-file";

export interface Membership {
  readonly clusterId: string;
  readonly ordinal: number;
  /** Of this identity, as the hub admitted it: the incarnation of our statements. */
  readonly incarnation: bigint;
  /** `host:port` of RegistrationService. */
  readonly hubAddress: string;
  /** When the credentials came, by our clock. */
  readonly receivedAtMs: number;
  readonly credentials: Credentials;
  /** Where the map stood then: what a first snapshot must come to. */
  readonly mapState: MapState;
}

/** Reads the membership; undefined before the first join. Throws `corrupt`, saying what to do, where it is damaged. */
export async function findMembership(stateDirectory: string): Promise<Membership | undefined> {
  const path = pathIn(stateDirectory);
  const state = await readState(path);
  if (state === undefined) return undefined;
  const membership = decode(state.bytes);
  if (membership === undefined) {
    throw new SpanwireError("corrupt", `read ${path}: not a membership: remove it and join again with a new token`);
  }
  return membership;
}

/** Stores the membership; on disk when it resolves. */
export async function storeMembership(stateDirectory: string, membership: Membership): Promise<void> {
  const { clusterId, hubAddress, receivedAtMs, ...response } = membership;
  const answer = toBinary(RegisterResponseSchema, { $typeName: RegisterResponseSchema.typeName, ...response });
  const text = JSON.stringify({ clusterId, hubAddress, receivedAtMs, answer: Buffer.from(answer).toString("base64") });
  await writeState(pathIn(stateDirectory), Buffer.from(text));
}

/** Puts an answer and what we knew before together. Throws `unavailable` for an answer that lacks a part. */
export function toMembership(
  response: RegisterResponse,
  known: Pick<Membership, "clusterId" | "hubAddress" | "receivedAtMs">,
): Membership {
  const { ordinal, incarnation, credentials, mapState } = response;
  if (credentials === undefined || mapState === undefined) {
    throw new SpanwireError(
      "unavailable",
      `hub at ${known.hubAddress}: its answer lacks credentials or the state of the map`,
    );
  }
  return { ...known, ordinal, incarnation, credentials, mapState };
}

function decode(bytes: Uint8Array): Membership | undefined {
  try {
    const { clusterId, hubAddress, receivedAtMs, answer } = JSON.parse(Buffer.from(bytes).toString());
    const response = fromBinary(RegisterResponseSchema, Buffer.from(answer, "base64"));
    return toMembership(response, { clusterId, hubAddress, receivedAtMs });
  } catch {
    return undefined;
  }
}

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, "membership");
}
