/** @module What a benchmark plays on: a real hub with its nats-server, and a made-up mesh in its store. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Authority, openAuthority } from "@spanwire/hub/authority/authority";
import type { HubReady } from "@spanwire/hub/main";
import { openNatsOperator } from "@spanwire/hub/nats/operator";
import { openFileSecretStore } from "@spanwire/hub/secrets/file-secret-store";
import { openNatsStateStore } from "@spanwire/hub/state/jetstream/nats-state-store";
import type { StateStore } from "@spanwire/hub/state/port";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { natsServerPath } from "../lab/nats-server.ts";
import { type Child, type ChildOptions, startChild } from "./child.ts";
import { connectAsHub } from "./connect-as-hub.ts";
import type { HubProgram } from "./hub.process.ts";
import type { KeyedRecord } from "./made-up-mesh.ts";

export interface Stage extends AsyncDisposable {
  readonly directory: string;
  readonly authority: Authority;
  readonly operator: Awaited<ReturnType<typeof openNatsOperator>>;
  readonly hub: HubReady & { readonly process: Child<HubProgram> };
  readonly nats: { readonly url: string; readonly pid: number };
  /** As the hub's own user. */
  readonly store: StateStore;
}

/** Starts hub and NATS; disposing ends them and removes everything. */
export async function openStage(options: ChildOptions = {}): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-bench-"));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const dir = join(directory, "hub");
  const child = cleanup.use(startChild<HubProgram>("hub.process.ts", options));
  const ready = await child.ask("start", { dir, natsServer: await natsServerPath() });
  cleanup.defer(() => child.ask("stop"));

  const secrets = await openFileSecretStore(join(dir, "secrets"));
  const authority = await openAuthority(secrets, { nowMs: systemClock.now(), randomBytes });
  const operator = await openNatsOperator(secrets);
  const port = await readFile(join(dir, "nats/port"), "utf8");
  const nats = {
    url: `tls://127.0.0.1:${port}`,
    pid: Number(await readFile(join(dir, "nats/nats-server.pid"), "utf8")),
  };
  const stop = new AbortController();
  const connection = await connectAsHub({
    url: nats.url,
    caPem: authority.ca.certificatePem,
    operator,
    signal: stop.signal,
  });
  cleanup.defer(async () => {
    stop.abort();
    await connection.closed();
  });
  const store = await openNatsStateStore({ connection, clock: systemClock });
  const kept = cleanup.move();
  return {
    directory,
    authority,
    operator,
    hub: { ...ready, process: child },
    nats,
    store,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Gives the revision of the write. */
export async function write(
  { map }: StateStore,
  { key, bytes }: KeyedRecord,
  expectedRevision: number,
): Promise<number> {
  const written = await map.put(key, bytes, { expectedRevision });
  if (!written.ok) throw new Error(written.conflict);
  return written.revision;
}
