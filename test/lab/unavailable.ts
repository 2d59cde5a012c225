/**
 * A component that cannot be had on this machine; the message says why and what a person can do about it.
 *
 * A tier that needs it is skipped or fails (see `tier.ts`); any other error is a fault of the lab.
 */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
