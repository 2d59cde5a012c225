import { expect, test } from "vitest";

import { startOpenBao } from "./openbao.ts";

test("in memory: answers at once, and forgets with a restart", async () => {
  await using bao = await startOpenBao({ store: "memory" });
  await bao.call("POST", "secret/data/a", { data: { value: "1" } });
  expect(await bao.call("GET", "secret/data/a")).toMatchObject({ data: { data: { value: "1" } } });
  await bao.restart();
  await expect(bao.call("GET", "secret/data/a")).rejects.toThrow("status 404");
});

test("on disk: sealed by a call and by a restart, and whole again when unsealed", async () => {
  await using bao = await startOpenBao({ store: "disk" });
  await bao.call("POST", "sys/mounts/secret", { type: "kv", options: { version: "2" } });
  await expect
    .poll(() => bao.call("POST", "secret/data/a", { data: { value: "1" } }).catch(String))
    .toHaveProperty("data");
  await bao.seal();
  await expect(bao.call("GET", "secret/data/a")).rejects.toThrow("sealed");
  await bao.unseal();
  await bao.restart();
  await expect(bao.call("GET", "secret/data/a")).rejects.toThrow("sealed");
  await bao.unseal();
  expect(await bao.call("GET", "secret/data/a")).toMatchObject({ data: { data: { value: "1" } } });
});
