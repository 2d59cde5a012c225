import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startNats } from "../../../../test/lab/nats.ts";
import { openNatsStateStore } from "./nats-state-store.ts";
import { readStoreFacts } from "./read-store-facts.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-facts-"));
});
afterEach(() => rm(directory, { recursive: true }));

const USERS = `accounts {
  SYS { users: [{ user: system, password: x }] }
  MESH { jetstream: enabled, users: [{ user: state, password: x }] }
}
system_account: SYS`;

test.each([
  { name: "always", sync: "sync_interval: always", asker: "system", want: [["n0", true]] },
  { name: "the default", sync: "", asker: "system", want: [["n0", false]] },
  { name: "ten seconds", sync: "sync_interval: 10s", asker: "system", want: [["n0", false]] },
  { name: "unknown to who may not ask", sync: "sync_interval: always", asker: "state", want: [] },
])("the server's setting is $name", async ({ sync, asker, want }) => {
  const config = `server_name: n0\n${USERS}\njetstream { store_dir: "${directory}", ${sync} }`;
  await using server = await startNats({ jetstream: false, config });
  const open = (user: string) => connect({ servers: server.url, user, pass: "x" });
  const [state, system] = await Promise.all([open("state"), open(asker)]);
  await openNatsStateStore({ connection: state, clock: systemClock });
  const { buckets, syncsAlways } = await readStoreFacts({ state, system, clock: systemClock });
  expect(buckets).toEqual(["sw-map", "sw-registry"].map((bucket) => ({ bucket, servers: ["n0"] })));
  expect([...syncsAlways]).toEqual(want);
  await Promise.all([state.close(), system.close()]);
});
