/** @module A real OpenBao set up for a mesh as an operator sets it up, and sessions with it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@spanwire/core/time";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createRecordingLog, type RecordingLog } from "@spanwire/runtime/log/recording-log";
import {
  type CallOptions,
  type Data,
  type OpenBao,
  type OpenBaoOptions,
  startOpenBao,
} from "../../../../test/lab/openbao.ts";
import { createBreaker } from "./breaker.ts";
import { createCaller } from "./caller.ts";
import { createVaultClient, type VaultRequest } from "./client.ts";
import type { LoginWay } from "./login.ts";
import { startSession, type VaultSession } from "./session.ts";
import { createTransport } from "./transport.ts";
import { createWaitingList, type WaitingList } from "./waiting.ts";

export const MESH_ID = "mesh-bao";

export interface SetUpBao extends AsyncDisposable {
  readonly bao: OpenBao;
  /** By AppRole, as the role "spanwire-hub" that the set-up makes. */
  readonly login: Extract<LoginWay, { readonly method: "approle" }>;
  /** Of this test: gone with it. */
  readonly directory: string;
}

export async function setUpBao(options: OpenBaoOptions): Promise<SetUpBao> {
  const bao = await startOpenBao(options);
  const directory = await mkdtemp(join(tmpdir(), "spanwire-vault-"));
  await bao.command([join(import.meta.dirname, "setup.sh"), MESH_ID, "approle"]);
  const login = await issueAppRole(bao, directory);
  return {
    bao,
    login,
    directory,
    async [Symbol.asyncDispose]() {
      await bao[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A secret id for the hub's role, or another one, in a file. */
export async function issueAppRole(bao: OpenBao, directory: string, role = "spanwire-hub"): Promise<SetUpBao["login"]> {
  const { roleId, secretId } = await appRoleOf(bao, role);
  const secretIdFile = join(directory, `${role}-secret-id`);
  await writeFile(secretIdFile, `${secretId}\n`, { mode: 0o600 });
  return { method: "approle", mount: "approle", roleId, secretIdFile };
}

/** The id of a role, and a new secret id for it. */
export async function appRoleOf(bao: OpenBao, role: string, options?: CallOptions) {
  const path = `auth/approle/role/${role}`;
  const { data } = await bao.call<Data<{ role_id: string }>>("GET", `${path}/role-id`, undefined, options);
  const made = await bao.call<Data<{ secret_id: string }>>("POST", `${path}/secret-id`, {}, options);
  return { roleId: data.role_id, secretId: made.data.secret_id };
}

export interface TestSession extends AsyncDisposable {
  readonly session: VaultSession;
  readonly waiting: WaitingList;
  readonly log: RecordingLog;
  /** The paths of all requests so far, probes left out. */
  readonly asked: readonly string[];
}

export interface SessionWish {
  readonly address: string;
  readonly login: LoginWay;
  readonly namespace?: string;
  readonly caPem?: string;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** A session as the hub has it, whose requests can be seen. */
export function openTestSession(wish: SessionWish): TestSession {
  const { address, login, namespace, caPem, timeoutMs = 5_000, clock = systemClock } = wish;
  const stopping = new AbortController();
  const { signal } = stopping;
  const asked: string[] = [];
  const transport = createTransport({ caPem });
  const client = createVaultClient({ address, namespace, transport });
  const seen = {
    address,
    send: (request: VaultRequest, ...rest: [never, AbortSignal]) => {
      asked.push(request.path);
      return client.send(request, ...rest);
    },
  };
  const log = createRecordingLog();
  const waiting = createWaitingList({ clock, log });
  const common = { clock, random: Math.random };
  const backoff = { baseMs: 20, capMs: 200 };
  const breaker = createBreaker({ ...common, backoff, trialMs: timeoutMs, onEnd: waiting.outageEnded });
  const call = createCaller({ ...common, client: seen as typeof client, breaker, timeoutMs, signal });
  const session = startSession({ ...common, call, login, probe: async () => {}, log, signal });
  return {
    session,
    waiting,
    log,
    asked,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await session.done;
      transport.close();
    },
  };
}
