/** @module The mesh's keys in Vault or OpenBao: secrets in KV, the root authority in transit, the CA in PKI. */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import type { Keys } from "../open-keys.ts";
import { createBreaker } from "./breaker.ts";
import { createCaller, isAway } from "./caller.ts";
import { createVaultClient } from "./client.ts";
import { describeVault, type VaultFacts } from "./describe-vault.ts";
import type { LoginWay } from "./login.ts";
import { openPkiIssuer } from "./pki-issuer.ts";
import { startSession, type VaultSession } from "./session.ts";
import { openTransitSigner, readTransitKey, type TransitKey } from "./transit-signer.ts";
import { createTransport } from "./transport.ts";
import { createVaultSecretStore } from "./vault-secret-store.ts";
import { createWaitingList } from "./waiting.ts";

export interface VaultSettings {
  readonly address: string;
  /** PEM of the only CA that may have signed the server's certificate; undefined where there is no TLS. */
  readonly caFile: string | undefined;
  readonly namespace: string | undefined;
  readonly login: LoginWay;
  readonly kv: { readonly mount: string; readonly path: string };
  readonly transit: TransitKey;
  readonly pki: { readonly mount: string; readonly role: string };
  /** Of one call, with all its tries. */
  readonly timeoutMs: number;
}

export interface VaultOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const BACKOFF = { baseMs: 500, capMs: 3_000 };
const START_AGAIN_MS = 1_000;

/** What is opened with it throws what a person has to mend: a refused login, a key or a policy that is not there. */
export async function openVault(settings: VaultSettings, options: VaultOptions): Promise<Keys> {
  const { address, namespace, kv, transit, pki, timeoutMs, login } = settings;
  const { clock, random, log, signal } = options;
  const caPem = settings.caFile === undefined ? undefined : await readFile(settings.caFile, "utf8");
  const transport = createTransport({ caPem });
  const client = createVaultClient({ address, namespace, transport });
  const waiting = createWaitingList({ clock, log });
  const onEnd = waiting.outageEnded;
  const breaker = createBreaker({ clock, random, backoff: BACKOFF, trialMs: timeoutMs, onEnd });
  let key: VaultFacts["key"];
  let signingVersion = 0;
  const session = startSession({
    call: createCaller({ client, breaker, clock, random, timeoutMs, signal }),
    login,
    async probe(call) {
      key = { ...(await readTransitKey(call, transit)), name: transit.key, signingVersion };
    },
    ...options,
  });
  let isStarting = true;
  const patient: Pick<VaultSession, "call"> = {
    call: (request) => (isStarting ? untilServed(() => session.call(request), options) : session.call(request)),
  };
  const store = createVaultSecretStore({ session: patient, ...kv });
  return {
    store,
    async openRoot() {
      const signer = await openTransitSigner({ session: patient, ...transit, secrets: store, waiting });
      signingVersion = signer.version;
      return signer;
    },
    openIssuer: () => openPkiIssuer({ session: patient, ...pki, secrets: store, waiting }),
    started() {
      isStarting = false;
    },
    conditions: () =>
      describeVault({
        address,
        outage: breaker.outage,
        waiting: waiting.list(),
        key: key && { ...key, signingVersion: signingVersion || key.latestVersion },
      }),
    done: session.done.finally(() => transport.close()),
  };
}

async function untilServed<T>(ask: () => Promise<T>, { clock, log, signal }: VaultOptions): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (err) {
      signal.throwIfAborted();
      if (!(err instanceof SpanwireError) || !isAway(err)) throw err;
      log.warn({ err }, "waiting for the secret store");
      await clock.sleep(START_AGAIN_MS, signal);
    }
  }
}
