/** @module Secret bytes that cannot be printed by accident. */

const REDACTED = "[secret]";

/**
 * Holds key material. It has no string form: string conversion, JSON and Node's inspection all print `[secret]`.
 * The only way to the bytes is `reveal()`, so that every use of a secret can be found by searching for that word.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The bytes themselves: for the kernel, a cipher or a 0600 file, never for a message. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** Compares without stopping at the first difference. */
  equals(other: Secret): boolean {
    const a = this.#bytes;
    const b = other.#bytes;
    if (a.length !== b.length) return false;
    let difference = 0;
    for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
    return difference === 0;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  /** What `util.inspect`, and so `console.log`, prints. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return REDACTED;
  }
}
