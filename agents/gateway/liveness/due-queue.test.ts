import fc from "fast-check";
import { expect, test } from "vitest";
import { DueQueue } from "./due-queue.ts";

test("gives each item once, at its earliest time, in their order", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("by" as const), item: fc.nat(9), ms: fc.nat(50) }),
    fc.record({ kind: fc.constant("take" as const), ms: fc.nat(50), limit: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant("drop" as const), item: fc.nat(9) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const queue = new DueQueue<number>();
      const model = new Map<number, number>();
      for (const each of steps) {
        switch (each.kind) {
          case "by":
            queue.by(each.item, each.ms);
            model.set(each.item, Math.min(each.ms, model.get(each.item) ?? each.ms));
            break;
          case "drop":
            queue.drop(each.item);
            model.delete(each.item);
            break;
          case "take": {
            const due = [...model.values()].filter((atMs) => atMs <= each.ms).sort((a, b) => a - b);
            const taken = queue.take(each.ms, each.limit);
            expect(taken.map((item) => model.get(item))).toEqual(due.slice(0, each.limit));
            expect(new Set(taken).size).toBe(taken.length);
            for (const item of taken) model.delete(item);
          }
        }
        expect(queue.size).toBe(model.size);
        expect(queue.nextMs).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
      }
    }),
  );
});
