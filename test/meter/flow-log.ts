/** @module What became of each packet of one flow: exact, by sequence number. */

/** One flow between two marks. */
export interface FlowAccount {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Packets that came after one that was sent later. */
  readonly reordered: number;
  /** Refused by the kernel at sending, by errno; these count as lost. */
  readonly refused: Readonly<Record<number, number>>;
  /** Runs of lost packets. */
  readonly gaps: readonly Gap[];
}

export interface Gap {
  readonly firstSequence: number;
  readonly count: number;
  /** Sending time of its first packet, in milliseconds of `performance.now()`. */
  readonly atMs: number;
}

const INITIAL_CAPACITY = 4096;
const RECEIVED = 1;
const REORDERED = 2;

export class FlowLog {
  #sentAtMs = new Float64Array(INITIAL_CAPACITY);
  #state = new Uint8Array(INITIAL_CAPACITY);
  #sent = 0;
  #highest = -1;
  readonly #duplicates: number[] = [];
  readonly #refused = new Map<number, number>();

  /** The sequence number of the next packet: a mark in time. */
  get next(): number {
    return this.#sent;
  }

  /** Notes a packet as sent, or as refused by the kernel with `errno`. */
  send(atMs: number, errno = 0): void {
    if (this.#sent === this.#state.length) this.#grow();
    this.#sentAtMs[this.#sent] = atMs;
    if (errno !== 0) this.#refused.set(this.#sent, errno);
    this.#sent += 1;
  }

  receive(sequence: number): void {
    if (sequence >= this.#sent) return;
    const state = this.#state[sequence] ?? 0;
    if (state & RECEIVED) {
      this.#duplicates.push(sequence);
      return;
    }
    this.#state[sequence] = sequence < this.#highest ? RECEIVED | REORDERED : RECEIVED;
    this.#highest = Math.max(this.#highest, sequence);
  }

  /** Accounts for the packets `from` (inclusive) to `to` (exclusive). */
  between(from: number, to: number): FlowAccount {
    const inside = (sequence: number) => sequence >= from && sequence < to;
    const gaps: Gap[] = [];
    let lost = 0;
    let reordered = 0;
    for (let sequence = from; sequence < to; sequence++) {
      const state = this.#state[sequence] ?? 0;
      if (state & REORDERED) reordered += 1;
      if (state & RECEIVED) continue;
      const start = sequence;
      while (sequence + 1 < to && !((this.#state[sequence + 1] ?? 0) & RECEIVED)) sequence += 1;
      const count = sequence + 1 - start;
      lost += count;
      gaps.push({ firstSequence: start, count, atMs: this.#sentAtMs[start] ?? 0 });
    }
    const refused: Record<number, number> = {};
    for (const [sequence, errno] of this.#refused) {
      if (inside(sequence)) refused[errno] = (refused[errno] ?? 0) + 1;
    }
    const duplicated = this.#duplicates.filter(inside).length;
    return { sent: to - from, lost, duplicated, reordered, refused, gaps };
  }

  #grow(): void {
    const times = new Float64Array(this.#sentAtMs.length * 2);
    times.set(this.#sentAtMs);
    this.#sentAtMs = times;
    const states = new Uint8Array(this.#state.length * 2);
    states.set(this.#state);
    this.#state = states;
  }
}
