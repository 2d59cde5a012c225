import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";

import { startNats } from "./nats.ts";

test("keeps port and stored messages over a kill and a restart, and ends when disposed of", async () => {
  let pid: number;
  {
    await using server = await startNats();
    const before = await connect({ servers: server.url });
    await (await jetstreamManager(before)).streams.add({ name: "s", subjects: ["s.>"] });
    await jetstream(before).publish("s.one", "1");
    await before.close();

    await server.kill("SIGKILL");
    await server.restart();
    pid = server.pid;
    const after = await connect({ servers: server.url });
    expect((await (await jetstreamManager(after)).streams.info("s")).state.messages).toBe(1);
    await after.close();
  }
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("takes further configuration, also changed at a restart", async () => {
  const users = (password: string) => `authorization { user: u, password: ${password} }`;
  await using server = await startNats({ jetstream: false, config: users("one") });
  await (await connect({ servers: server.url, user: "u", pass: "one" })).close();
  await server.restart(users("two"));
  await expect(connect({ servers: server.url, user: "u", pass: "one" })).rejects.toThrow(/auth/i);
});

test("says why the server did not start", async () => {
  await expect(startNats({ config: "no_such_option: 1" })).rejects.toThrow(/no_such_option/);
});
