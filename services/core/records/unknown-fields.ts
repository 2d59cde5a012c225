/** @module Whether a message holds fields of a later version of the contract. */
import type { Message } from "@bufbuild/protobuf";

/** True where the message, or one inside it, was decoded from fields that this version does not know; they are kept. */
export function hasUnknownFields(message: Message): boolean {
  if (message.$unknown !== undefined && message.$unknown.length > 0) return true;
  return Object.values(message).some(holdsUnknown);
}

function holdsUnknown(value: unknown): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (isMessage(value)) return hasUnknownFields(value);
  return Object.values(value).some(holdsUnknown); // a list, a map, or the case of a oneof
}

function isMessage(value: object): value is Message {
  return "$typeName" in value;
}
