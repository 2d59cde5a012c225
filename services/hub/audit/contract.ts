/** @module What every audit store must do; the fake and the one in NATS pass it alike. */
import { describe, expect, test } from "vitest";
import type { AuditStore } from "./audit-store.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

export function describeAuditStore(name: string, open: () => Promise<AuditStore>): void {
  describe(name, () => {
    test("is empty at first", async () => {
      const store = await open();
      expect(await store.status()).toEqual({ first: 1, last: 0, sizeBytes: 0 });
      expect(await store.read(1)).toBeUndefined();
    });

    test("writes the next block only after the one that is expected", async () => {
      const store = await open();
      expect(await store.append(bytes("a"), { expectedLast: 0 })).toEqual({ ok: true, revision: 1 });
      expect(await store.append(bytes("x"), { expectedLast: 0 })).toMatchObject({ ok: false });
      expect(await store.append(bytes("b"), { expectedLast: 1 })).toEqual({ ok: true, revision: 2 });
      expect(await store.status()).toMatchObject({ first: 1, last: 2 });
      expect(await store.read(0)).toEqual({ position: 1, bytes: bytes("a") });
      expect(await store.read(2)).toEqual({ position: 2, bytes: bytes("b") });
      expect(await store.read(3)).toBeUndefined();
    });

    test("of several that write at once one succeeds", async () => {
      const store = await open();
      const race = await Promise.all(["a", "b", "c"].map((each) => store.append(bytes(each), { expectedLast: 0 })));
      expect(race.filter(({ ok }) => ok)).toHaveLength(1);
    });

    test("loses only its beginning by a trim, and goes on counting", async () => {
      const store = await open();
      for (const [at, each] of ["a", "b", "c"].entries()) await store.append(bytes(each), { expectedLast: at });
      await store.trim(3);
      expect(await store.status()).toMatchObject({ first: 3, last: 3 });
      expect(await store.read(1)).toEqual({ position: 3, bytes: bytes("c") });
      expect(await store.append(bytes("d"), { expectedLast: 3 })).toEqual({ ok: true, revision: 4 });
    });
  });
}
