/** @module What signatures cover. The leading words keep a signature for one purpose from serving another. */

const encoder = new TextEncoder();
const RECORD = encoder.encode("spanwire/v1/record\0");
const PROOF = encoder.encode("spanwire/v1/proof\0");
const AUDIT = encoder.encode("spanwire/v1/audit\0");
const AUDIT_ENTRY = encoder.encode("spanwire/v1/audit-entry\0");
const ZERO = new Uint8Array(1);

/** `"spanwire/v1/record\0" ‖ mesh id ‖ 0 ‖ key ‖ 0 ‖ payload` (DNS labels and keys hold no zero byte). */
export function recordSigningInput(meshId: string, key: string, payload: Uint8Array): Uint8Array {
  return concat(RECORD, encoder.encode(`${meshId}\0${key}\0`), payload);
}

/** `"spanwire/v1/proof\0" ‖ method ‖ 0 ‖ nonce ‖ SHA-256(body)`: possession of an identity key, for one call. */
export function proofSigningInput(method: string, nonce: Uint8Array, bodySha256: Uint8Array): Uint8Array {
  return concat(PROOF, encoder.encode(method), ZERO, nonce, bodySha256);
}

/** `"spanwire/v1/audit\0" ‖ mesh id ‖ 0 ‖ checkpoint`: everything up to the checkpoint's entry. */
export function auditSigningInput(meshId: string, checkpoint: Uint8Array): Uint8Array {
  return concat(AUDIT, encoder.encode(meshId), ZERO, checkpoint);
}

/** `"spanwire/v1/audit-entry\0" ‖ hash of the entry before ‖ entry`: what is hashed into a link of the audit log's chain. */
export function auditEntryInput(previous: Uint8Array, entry: Uint8Array): Uint8Array {
  return concat(AUDIT_ENTRY, previous, entry);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
