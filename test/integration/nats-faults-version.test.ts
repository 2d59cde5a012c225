import { expect, test } from "vitest";
import { natsServerPath, OLD_NATS_SERVER_VERSION } from "../lab/nats-server.ts";
import { startHubProcess } from "./hub-process.ts";

test("a hub refuses a NATS that is too old when it starts, and says which it needs", async () => {
  const natsServer = await natsServerPath(undefined, undefined, OLD_NATS_SERVER_VERSION);
  const started = startHubProcess([], { natsServer });
  await expect(started).rejects.toThrow(`nats server is ${OLD_NATS_SERVER_VERSION}: needs 2.12.0 or newer`);
});
