import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { decodeEntry } from "@spanwire/core/audit/entry";
import { LogVerifier } from "@spanwire/core/audit/log-verifier";
import { decodeBlock } from "@spanwire/core/audit/open-block";
import { AUDIT_STREAM, AUDIT_SUBJECT } from "@spanwire/core/subjects";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { expect, test } from "vitest";
import { openHubConnections } from "../nats/hub-connections.ts";
import { openNatsOperator } from "../nats/operator.ts";
import { openFileSecretStore } from "../secrets/file-secret-store.ts";
import { crypto } from "../state/testing.ts";
import { CALL, createTestGateway, makeDirectory, type RunningHub, startHub } from "../testing.ts";

const GATEWAYS = 10;

/** What an operator reads and verifies; throws while the log cannot be read. */
async function readAudit({ fleet, context }: RunningHub) {
  const { meshId, authorityKey } = context;
  const verifier = new LogVerifier({ meshId, authorityKey, ...crypto });
  const actions: string[] = [];
  for await (const { block } of fleet.readAudit({}, CALL)) {
    const decoded = decodeBlock(block);
    if (decoded === undefined) throw new Error("not a block");
    verifier.take(decoded);
    for (const entry of decoded.entries) actions.push(decodeEntry(entry)?.action ?? "");
  }
  return { actions, problems: verifier.finish().problems };
}

test("while the log cannot be written the hub serves, operators are told, and all is written afterwards", async () => {
  await using directory = await makeDirectory();
  await using hub = await startHub({ dir: join(directory.path, "hub") });
  const joinAs = async (clusterId: string) => createTestGateway().register(await hub.token(clusterId));
  const { credentials } = await joinAs("first");
  await expect.poll(async () => (await readAudit(hub)).actions).toContain("gateway.register");

  await using open = new AsyncDisposableStack();
  const ending = new AbortController();
  open.defer(() => ending.abort());
  const operator = await openNatsOperator(await openFileSecretStore(join(hub.config.dir, "secrets")));
  const { natsUrls: servers = [], natsCaPem: caPem } = credentials ?? {};
  const log = createRecordingLog();
  const { state } = await openHubConnections({ operator, servers, caPem, log, signal: ending.signal });
  const { streams } = await jetstreamManager(state);
  await streams.delete(AUDIT_STREAM);
  await streams.add({ name: "thief", subjects: [AUDIT_SUBJECT] });

  for (let n = 0; n < GATEWAYS; n++) await joinAs(`c${n}`);
  await expect(readAudit(hub)).rejects.toMatchObject({ code: "unavailable" });
  const conditions = async () => (await hub.fleet.getStatus({}, CALL)).status?.conditions ?? [];
  await expect.poll(conditions).toMatchObject([{ type: "AuditLogBehind", subject: "audit" }]);

  await streams.delete("thief");
  const registered = async () => {
    const { actions } = await readAudit(hub).catch(() => ({ actions: [] }));
    return actions.filter((action) => action === "gateway.register").length;
  };
  await expect.poll(registered).toBe(GATEWAYS);
  const { actions, problems } = await readAudit(hub);
  expect(actions[0]).toBe("audit.lost");
  expect(problems).toEqual([expect.stringMatching(/^entry 1: the log had gone up to entry \d+; its store has lost/)]);
  expect(await conditions()).toEqual([]);
});
