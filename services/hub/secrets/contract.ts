/** @module What every SecretStore does: the suite that each of them passes. */
import { Secret } from "@spanwire/core/identity/secret";
import { describe, expect, test } from "vitest";
import { ensureSecret, type SecretStore } from "./port.ts";

const secret = (content: string) => new Secret(new TextEncoder().encode(content));
const reveal = (held: Secret | undefined) => held && new TextDecoder().decode(held.reveal());

/** `open` gives an empty store each time. */
export function describeSecretStore(name: string, open: () => Promise<SecretStore>): void {
  describe(name, () => {
    test("gives back what was created first, and creates nothing in its place", async () => {
      const store = await open();
      expect(await store.read("root-key")).toBeUndefined();
      expect(await store.create("root-key", secret("first"))).toBe(true);
      expect(await store.create("root-key", secret("second"))).toBe(false);
      expect(reveal(await store.read("root-key"))).toBe("first");
    });

    test("of many that ensure a secret at once, all get the same one", async () => {
      const store = await open();
      const all = Array.from({ length: 10 }, (_, n) => ensureSecret(store, "root-key", async () => secret(`${n}`)));
      const got = (await Promise.all(all)).map(reveal);
      expect(new Set(got).size).toBe(1);
      expect(reveal(await ensureSecret(store, "root-key", () => Promise.reject(new Error("made again"))))).toBe(got[0]);
    });

    test("keeps binary content and long content", async () => {
      const store = await open();
      const bytes = Uint8Array.from({ length: 20_000 }, (_, n) => n % 256);
      await store.create("binary", new Secret(bytes));
      expect((await store.read("binary"))?.reveal()).toEqual(bytes);
    });

    test("replaces what the writer has read, and nothing else", async () => {
      const store = await open();
      const [first, second, third] = [secret("first"), secret("second"), secret("third")];
      expect(await store.replace("ca-key", { present: first, next: second })).toBe(false);
      expect(await store.read("ca-key")).toBeUndefined();
      await store.create("ca-key", first);
      expect(await store.replace("ca-key", { present: second, next: third })).toBe(false);
      expect(await store.replace("ca-key", { present: first, next: second })).toBe(true);
      expect(await store.create("ca-key", third)).toBe(false);
      expect(await store.replace("ca-key", { present: first, next: third })).toBe(false);
      expect(await store.replace("ca-key", { present: second, next: third })).toBe(true);
      expect(reveal(await store.read("ca-key"))).toBe("third");
    });

    test("of many that replace a secret at once, one succeeds, and readers see either", async () => {
      const store = await open();
      const present = secret("old");
      await store.create("ca-key", present);
      const names = Array.from({ length: 10 }, (_, n) => `new-${n}`);
      const writes = names.map((name) => store.replace("ca-key", { present, next: secret(name) }));
      const reads = names.map(async () => reveal(await store.read("ca-key")));
      const done = await Promise.all(writes);
      const won = names.filter((_, index) => done[index]);
      for (const read of await Promise.all(reads)) expect(["old", ...names]).toContain(read);
      expect(won).toEqual([reveal(await store.read("ca-key"))]);
    });

    test.each(["", "../up", "a/b", "UPPER", "a b", "-a", "a."])("refuses the name %j", async (bad) => {
      const store = await open();
      await expect((async () => store.read(bad))()).rejects.toMatchObject({ code: "invalid" });
      await expect((async () => store.create(bad, secret("x")))()).rejects.toMatchObject({ code: "invalid" });
      const change = { present: secret("x"), next: secret("y") };
      await expect((async () => store.replace(bad, change))()).rejects.toMatchObject({ code: "invalid" });
    });
  });
}
