/** @module Which keys are an issuer's now: those that were given, or those that it publishes, kept for a while. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import { createLocalJWKSet } from "jose";
import { z } from "zod";
import { refusal } from "../refusal.ts";
import { fetchDocument } from "./fetch-document.ts";
import { readJwks } from "./read-jwks.ts";

export type KeySource =
  | { readonly kind: "given"; readonly jwks: string }
  /** OpenID Connect Discovery below this URL. */
  | { readonly kind: "published"; readonly url: string; readonly caPem?: string | undefined };

export interface IssuerKeys {
  /** Finds the key of a token's header; throws jose's errors where there is none. */
  readonly find: ReturnType<typeof createLocalJWKSet>;
  /** What the issuer calls itself; undefined where only its keys were given. */
  readonly issuer: string | undefined;
}

export interface KeyRing {
  /** The keys of whatever is registered under `owner`. Throws `ISSUER_AWAY` (retryable) where they were never seen. */
  keysOf(owner: string, source: KeySource): Promise<IssuerKeys>;
  /** After a key was not found: the keys anew, or undefined when the issuer was asked only just now. */
  refetch(owner: string, source: KeySource): Promise<IssuerKeys | undefined>;
}

interface Kept {
  /** The source as text: another one has other keys. */
  readonly source: string;
  readonly keys: IssuerKeys | undefined;
  readonly fetchedAtMs: number;
  readonly askedAtMs: number;
}

/** A key that the issuer withdraws is trusted this long at most, while the issuer answers. */
const REFRESH_MS = 600_000;
/** The same while it does not answer. */
const STALE_MS = 3_600_000;
/** Whatever callers send, an issuer is asked once in this time. */
const FLOOR_MS = 30_000;

const discovery = z.object({ issuer: z.string().max(512), jwks_uri: z.url({ protocol: /^https$/ }) });

export interface KeyRingOptions {
  readonly clock: Clock;
  /** Told why an issuer does not give its keys; callers are not, because they could look behind the hub by it. */
  readonly onFailure: (owner: string, error: SpanwireError) => void;
  readonly fetch?: typeof fetchDocument;
}

export function createKeyRing({ clock, onFailure, fetch = fetchDocument }: KeyRingOptions): KeyRing {
  const kept = new Map<string, Kept>();
  const asking = new Map<string, Promise<void>>();

  function known(owner: string, source: KeySource): Kept | undefined {
    const entry = kept.get(owner);
    return entry?.source === JSON.stringify(source) ? entry : undefined;
  }

  /** Asks the issuer, unless that was done only just now; who comes meanwhile waits for the same answer. */
  async function ask(owner: string, source: KeySource): Promise<void> {
    const before = known(owner, source);
    const nowMs = clock.elapsed();
    if (before !== undefined && nowMs - before.askedAtMs < FLOOR_MS) return asking.get(owner);
    const text = JSON.stringify(source);
    kept.set(owner, { keys: undefined, fetchedAtMs: nowMs, ...before, source: text, askedAtMs: nowMs });
    const asked = read(source, fetch).then(
      (keys) => void kept.set(owner, { source: text, keys, fetchedAtMs: nowMs, askedAtMs: nowMs }),
      (error: unknown) => {
        if (!(error instanceof SpanwireError)) throw error;
        onFailure(owner, error); // what is known is good for a while longer
      },
    );
    asking.set(owner, asked);
    await asked.finally(() => asking.delete(owner));
  }

  async function keysOf(owner: string, source: KeySource): Promise<IssuerKeys> {
    const entry = known(owner, source);
    if (source.kind === "given" && entry?.keys !== undefined) return entry.keys;
    if (entry?.keys === undefined || clock.elapsed() - entry.fetchedAtMs > REFRESH_MS) await ask(owner, source);
    const now = known(owner, source);
    if (now?.keys !== undefined && clock.elapsed() - now.fetchedAtMs <= STALE_MS) return now.keys;
    const where = source.kind === "published" ? ` at ${source.url}` : "";
    throw refusal(
      "ISSUER_AWAY",
      `the issuer of ${owner}${where} does not give its keys: try again in ${FLOOR_MS / 1_000} s`,
    );
  }

  return {
    keysOf,
    async refetch(owner, source) {
      const before = known(owner, source)?.fetchedAtMs;
      if (source.kind === "given") return undefined;
      await ask(owner, source);
      return known(owner, source)?.fetchedAtMs === before ? undefined : keysOf(owner, source);
    },
  };
}

async function read(source: KeySource, fetch: typeof fetchDocument): Promise<IssuerKeys> {
  if (source.kind === "given") return { find: createLocalJWKSet(readJwks(source.jwks)), issuer: undefined };
  const { url, caPem } = source;
  const described = await fetch(`${url.replace(/\/$/, "")}/.well-known/openid-configuration`, { caPem });
  const said = discovery.safeParse(parseJson(described));
  if (!said.success) throw refusal("INVALID_JWKS", `issuer at ${url}: its discovery names no issuer and https key set`);
  const { issuer, jwks_uri } = said.data;
  return { find: createLocalJWKSet(readJwks(await fetch(jwks_uri, { caPem }))), issuer };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
