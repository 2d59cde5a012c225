/** @module The order of a record: (incarnation, generation), which only grows. */

export interface Order {
  readonly incarnation: bigint;
  readonly generation: bigint;
}

/** Negative when `a` comes before `b`, zero when they are the same. */
export function compareOrders(a: Order, b: Order): number {
  if (a.incarnation !== b.incarnation) return a.incarnation < b.incarnation ? -1 : 1;
  if (a.generation !== b.generation) return a.generation < b.generation ? -1 : 1;
  return 0;
}

/** "3.14": incarnation and generation, as logs and errors show it. */
export function formatOrder(order: Order): string {
  return `${order.incarnation}.${order.generation}`;
}
