/** @module Which keys a bucket takes: those that are also NATS subjects without wildcards. */
import { SpanwireError } from "@spanwire/core/errors";

const KEY = /^[a-zA-Z0-9_=/-]+(\.[a-zA-Z0-9_=/-]+)*$/;
const PREFIX = /^([a-zA-Z0-9_=/-]+\.)*$/;

/** Throws `invalid` for what could not be stored, or would be read as a wildcard. */
export function requireKey(key: string): void {
  if (!KEY.test(key))
    throw new SpanwireError("invalid", `state key "${key}": not dot-separated words of a-z A-Z 0-9 _ = / -`);
}

/** Throws `invalid` unless the prefix is empty or ends where a word ends. */
export function requirePrefix(prefix: string): void {
  if (!PREFIX.test(prefix))
    throw new SpanwireError("invalid", `state prefix "${prefix}": must be empty or end in a dot`);
}

/** Throws `invalid` for a key that is not `cluster.<id>`. */
export function requireClusterKey(key: string): void {
  if (!/^cluster\.[^.]+$/.test(key)) throw new SpanwireError("invalid", `state key "${key}": not that of an admission`);
  requireKey(key);
}
