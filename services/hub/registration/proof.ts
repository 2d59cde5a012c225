/** @module Possession of an identity key, shown for one call: verified before the body is decoded. */
import type { KeyObject } from "node:crypto";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Verify } from "@spanwire/core/records/crypto";
import { proofSigningInput } from "@spanwire/core/records/signing-input";
import type { Proof } from "@spanwire/proto/registration";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { InvalidRequest } from "@spanwire/runtime/grpc/invalid-request";
import type { RequestValidator } from "@spanwire/runtime/grpc/request-validator";
import { refusal } from "../refusal.ts";
import { checkNonce } from "./challenge.ts";

/** The methods that are proven; the name is part of what is signed. */
export type ProvenMethod = "Register" | "Renew" | "Leave";

export interface ProvenRequest {
  /** A serialized message, as it was signed. */
  readonly body: Uint8Array;
  readonly proof?: Proof | undefined;
}

export interface ProofOptions {
  readonly nonceKey: KeyObject;
  readonly verify: Verify;
  readonly nowMs: number;
}

export interface Proven {
  /** Raw Ed25519; the caller has its private half. */
  readonly identityKey: Uint8Array;
  readonly bodySha256: Uint8Array;
}

/** Throws `NONCE_EXPIRED` (retryable: ask for another) or `BAD_PROOF`. */
export function checkProof(method: ProvenMethod, { body, proof }: ProvenRequest, options: ProofOptions): Proven {
  const { nonceKey, verify, nowMs } = options;
  if (proof === undefined) throw badProof(method, "there is none");
  const freshness = checkNonce(nonceKey, proof.nonce, nowMs);
  if (freshness === "forged") throw badProof(method, "its nonce is not one of this hub");
  if (freshness === "expired") {
    throw refusal("NONCE_EXPIRED", `${method}: the nonce has expired: ask for another and send the call again at once`);
  }
  const bodySha256 = sha256(body);
  if (!verify(proof.identityKey, proofSigningInput(method, proof.nonce, bodySha256), proof.signature)) {
    throw badProof(method, "the signature is not that of the identity key over this call");
  }
  return { identityKey: proof.identityKey, bodySha256 };
}

/** Decodes a proven body and holds it to the rules of its schema. Throws `InvalidRequest`. */
export function decodeBody<D extends DescMessage>(
  schema: D,
  body: Uint8Array,
  validate: RequestValidator,
): MessageShape<D> {
  const message = decode(schema, body);
  validate(schema, message);
  return message;
}

function decode<D extends DescMessage>(schema: D, body: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(schema, body);
  } catch (cause) {
    const description = `the bytes are not a ${schema.name}`;
    throw new InvalidRequest(schema.name, [{ field: "body", description, rule: "encoding" }], { cause });
  }
}

function badProof(method: ProvenMethod, why: string) {
  return refusal("BAD_PROOF", `${method}: the proof of the identity is not valid: ${why}`);
}
