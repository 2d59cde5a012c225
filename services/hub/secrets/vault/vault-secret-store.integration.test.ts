import { Secret } from "@spanwire/core/identity/secret";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeSecretStore } from "../contract.ts";
import { ensureSecret } from "../port.ts";
import { openTestSession, type SetUpBao, setUpBao, type TestSession } from "./testing.ts";
import { createVaultSecretStore } from "./vault-secret-store.ts";

let set: SetUpBao;
let own: TestSession;
beforeAll(async () => {
  set = await setUpBao({ store: "memory" });
  own = openTestSession({ address: set.bao.address, login: set.login });
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await set[Symbol.asyncDispose]();
});

let count = 0;
const openStore = ({ session } = own) =>
  createVaultSecretStore({ session, mount: "secret", path: `spanwire/${count++}` });
const secret = (text: string) => new Secret(Buffer.from(text));

describeSecretStore("the secret store in OpenBao", async () => openStore());

test("what somebody deleted or damaged is an error, not a first start", async () => {
  const path = `spanwire/${count}`;
  const store = openStore();
  await store.create("root-key", secret("s3cret"));
  await set.bao.call("DELETE", `secret/data/${path}/root-key`);
  await expect(store.read("root-key")).rejects.toThrow(/was deleted: bring it back with bao kv undelete/);
  await expect(ensureSecret(store, "root-key", async () => secret("new"))).rejects.toMatchObject({ code: "corrupt" });
  await set.bao.call("POST", `secret/data/${path}/other`, { data: { password: "x" } });
  await expect(store.read("other")).rejects.toMatchObject({ code: "corrupt" });
});
