/** @module Lists without spare room, in messages that are kept. */
import type { Message } from "@bufbuild/protobuf";

/**
 * Replaces each list of the message by a copy that is no longer than it must be. Decoding appends, and a list that has
 * grown has room for 17: of a gateway with one endpoint and one key most of what is kept would be that.
 */
export function trimLists(message: Message): void {
  for (const [name, value] of Object.entries(message)) {
    if (Array.isArray(value) && value.length > 0) Reflect.set(message, name, value.slice());
  }
}
