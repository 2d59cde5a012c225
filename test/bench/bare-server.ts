/** @module A second nats-server for controls: as the hub's own, so that what it sends reaches no agent. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVER_LIFETIME_MS } from "@spanwire/hub/authority/ca";
import { PID_FILE, startNatsChild } from "@spanwire/hub/embedded/nats-child";
import { renderServerConfig } from "@spanwire/hub/nats/server-config";
import { openNatsStateStore } from "@spanwire/hub/state/jetstream/nats-state-store";
import type { StateStore } from "@spanwire/hub/state/port";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createLog } from "@spanwire/runtime/log/create-log";
import { natsServerPath } from "../lab/nats-server.ts";
import { connectAsHub } from "./connect-as-hub.ts";
import type { Stage } from "./stage.ts";

export interface BareServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly store: StateStore;
}

/** With the keys of the stage's operator, so that the same users may connect. */
export async function startBareServer({
  authority,
  operator,
}: Pick<Stage, "authority" | "operator">): Promise<BareServer> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-bare-"));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, "jetstream"));
  const tls = { certificateFile: join(directory, "server.crt"), keyFile: join(directory, "server.key") };
  const certificate = await authority.ca.issueServer({
    hosts: ["127.0.0.1"],
    nowMs: systemClock.now(),
    lifetimeMs: SERVER_LIFETIME_MS,
  });
  await writeFile(tls.certificateFile, certificate.chainPem);
  await writeFile(tls.keyFile, certificate.privateKeyPem.reveal());
  const configFile = join(directory, "nats.conf");
  await writeFile(configFile, renderServerConfig({ operator, host: "127.0.0.1", port: -1, directory, tls }));

  const stop = new AbortController();
  const child = await startNatsChild({
    binary: await natsServerPath(),
    configFile,
    log: createLog({ name: "bare-nats", level: "error" }),
    clock: systemClock,
    random: Math.random,
    signal: stop.signal,
  });
  cleanup.defer(() => child.done);
  cleanup.defer(() => stop.abort());
  const url = `tls://127.0.0.1:${new URL(child.url).port}`;
  const connection = await connectAsHub({ url, caPem: authority.ca.certificatePem, operator, signal: stop.signal });
  const store = await openNatsStateStore({ connection, clock: systemClock });
  const pid = Number(await readFile(join(directory, PID_FILE), "utf8"));
  const kept = cleanup.move();
  return { url, pid, store, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
