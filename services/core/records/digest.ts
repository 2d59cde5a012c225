/**
 * @module The digest over (key, order) of all records: the sum modulo 2^256 of a hash for each record.
 *
 * A sum changes in constant time with each record, where a hash over the sorted list would cost every agent O(n) for
 * every change. A sum is weaker against somebody who can choose what is hashed; here only signed orders are, and a
 * relay cannot choose those (decisions/0001-sum-digest.md).
 */
import type { Sha256 } from "./crypto.ts";
import type { Order } from "./order.ts";

const WORDS = 8;

export class Digest {
  readonly #sum = new Uint32Array(WORDS);
  readonly #sha256: Sha256;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  add(key: string, order: Order): void {
    this.#accumulate(key, order, 1);
  }

  remove(key: string, order: Order): void {
    this.#accumulate(key, order, -1);
  }

  /** 32 bytes, big-endian. */
  bytes(): Uint8Array {
    const out = new Uint8Array(WORDS * 4);
    const view = new DataView(out.buffer);
    for (let word = 0; word < WORDS; word++) view.setUint32(word * 4, this.#sum[word] ?? 0);
    return out;
  }

  #accumulate(key: string, order: Order, sign: 1 | -1): void {
    const hash = this.#sha256(`${key}\0${order.incarnation}\0${order.generation}`);
    const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
    let carry = 0;
    for (let word = WORDS - 1; word >= 0; word--) {
      const total = (this.#sum[word] ?? 0) + sign * view.getUint32(word * 4) + carry;
      this.#sum[word] = total; // keeps the low 32 bits
      carry = Math.floor(total / 0x1_0000_0000);
    }
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
