/** @module What is to be looked at when: a binary heap, so that any number of waits is one timer. */

export class DueQueue<T> {
  /** Of an item that was moved forward, the entry of its later time stays behind and is passed over. */
  readonly #heap: Entry<T>[] = [];
  readonly #due = new Map<T, number>();

  /** Of the first item; undefined when there is none. */
  get nextMs(): number | undefined {
    this.#passOver();
    return this.#heap[0]?.atMs;
  }

  get size(): number {
    return this.#due.size;
  }

  /** Has the item looked at by `atMs`. One that is due sooner stays so: looking too early does no harm. */
  by(item: T, atMs: number): void {
    if ((this.#due.get(item) ?? Number.POSITIVE_INFINITY) <= atMs) return;
    this.#due.set(item, atMs);
    this.#rise({ item, atMs });
  }

  drop(item: T): void {
    this.#due.delete(item);
  }

  /** Takes out what is due by `nowMs`, the first due first, no more than `limit`. */
  take(nowMs: number, limit: number): readonly T[] {
    const taken: T[] = [];
    for (let next = this.nextMs; next !== undefined && next <= nowMs && taken.length < limit; next = this.nextMs) {
      const { item } = this.#shift();
      this.#due.delete(item);
      taken.push(item);
    }
    return taken;
  }

  #passOver(): void {
    for (let top = this.#heap[0]; top !== undefined && this.#due.get(top.item) !== top.atMs; top = this.#heap[0]) {
      this.#shift();
    }
  }

  #rise(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.atMs <= entry.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  /** Takes the top away; the heap is not empty. */
  #shift(): Entry<T> {
    const heap = this.#heap;
    const [top, last] = [heap[0], heap.pop()];
    if (top === undefined || last === undefined) throw new RangeError("nothing is due");
    if (heap.length > 0) this.#sink(last);
    return top;
  }

  #sink(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      const isRight = right !== undefined && left !== undefined && right.atMs < left.atMs;
      const below = isRight ? right : left;
      if (below === undefined || below.atMs >= entry.atMs) break;
      heap[at] = below;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = entry;
  }
}

interface Entry<T> {
  readonly item: T;
  readonly atMs: number;
}
