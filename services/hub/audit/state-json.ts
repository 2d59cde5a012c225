/** @module State as the audit log keeps it: JSON, empty where there is nothing. Only of messages that hold no secret. */
import { type DescMessage, type MessageShape, toJsonString } from "@bufbuild/protobuf";

export function stateJson<D extends DescMessage>(schema: D, message: MessageShape<D> | undefined): string {
  return message === undefined ? "" : toJsonString(schema, message);
}
