import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { natsServerPath } from "../../test/lab/nats-server.ts";
import { hubConfigSchema } from "./config.ts";
import { openFoundation } from "./foundation.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "spanwire-foundation-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test("the first start makes a mesh; the second finds it, on the same port, with the same records", async () => {
  const first = await open();
  const { mesh, root, ca } = first.foundation.authority;
  const entries = first.foundation.map.snapshot().entries;
  expect(entries.map(({ key }) => key)).toEqual(["mesh", "delegation", "policy.links", "epoch"]);
  await first.close();

  const second = await open();
  expect(second.foundation.authority.mesh).toEqual(mesh);
  expect(second.foundation.authority.root.publicKey).toEqual(root.publicKey);
  expect(second.foundation.authority.ca.certificatePem).toBe(ca.certificatePem);
  expect(second.foundation.natsUrls).toEqual(first.foundation.natsUrls);
  expect(second.foundation.map.lineage).toBe(first.foundation.map.lineage);
  expect(second.foundation.map.snapshot().entries).toEqual(entries);
  await second.close();
});

test("nobody but the owner reads what is on the disk", async () => {
  const { close } = await open();
  const modeOf = async (name: string) => ((await stat(join(dir, name))).mode & 0o777).toString(8);
  expect(await Promise.all(["nats", "secrets"].map(modeOf))).toEqual(["700", "700"]);
  const secrets = (await readdir(join(dir, "secrets"))).map((name) => `secrets/${name}`);
  const modes = await Promise.all(["nats/server.key", "nats/nats-server.conf", ...secrets].map(modeOf));
  expect(new Set(modes)).toEqual(new Set(["600"]));
  await close();
});

async function open() {
  const stop = new AbortController();
  const binary = await natsServerPath();
  const config = hubConfigSchema.parse({ dir, listen: "127.0.0.1", nats: { port: 0, binary } });
  const foundation = await openFoundation({
    config,
    log: createRecordingLog(),
    clock: systemClock,
    random: () => 0.5,
    searchPath: dirname(binary),
    signal: stop.signal,
  });
  return {
    foundation,
    async close() {
      stop.abort();
      await foundation.done;
    },
  };
}
