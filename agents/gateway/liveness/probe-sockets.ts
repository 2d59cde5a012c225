/** @module One socket for each of our plane addresses, opened as soon as the address is there and again when it fails. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import type { OpenProbeSocket, ProbeSocket, Source } from "./probe-socket.ts";

export interface ProbeSocketsOptions {
  readonly open: OpenProbeSocket;
  readonly port: number;
  readonly onOpened: () => void;
  readonly onReceived: (at: string, from: Source, bytes: Uint8Array) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** The address comes with the lanes, a moment after they were wanted. */
const RETRY_MS = 500;
/** In a row: fewer are no news. */
const WORRYING_TRIES = 10;

export class ProbeSockets {
  readonly #options: ProbeSocketsOptions;
  readonly #kept = new Map<string, Kept>();
  #failures = 0;

  constructor(options: ProbeSocketsOptions) {
    this.#options = options;
  }

  /** Sockets that could not be opened, and datagrams that the kernel refused. */
  get failures(): number {
    return this.#failures;
  }

  /** What keeps probes from being sent; undefined when nothing does. */
  get problem(): string | undefined {
    return [...this.#kept.values()].find(({ problem }) => problem !== undefined)?.problem;
  }

  /** Opens what is wanted and closes the others. */
  want(addresses: ReadonlySet<string>): void {
    for (const [address, { unwanted }] of this.#kept) {
      if (addresses.has(address)) continue;
      this.#kept.delete(address);
      unwanted.abort();
    }
    for (const address of addresses) {
      if (this.#kept.has(address)) continue;
      const kept: Kept = { unwanted: new AbortController(), socket: undefined, tries: 0, problem: undefined };
      this.#kept.set(address, kept);
      void this.#keep(address, kept);
    }
  }

  canSend(from: string): boolean {
    return this.#kept.get(from)?.socket !== undefined;
  }

  /** Whatever becomes of it: the next probe is the retry. */
  send(from: string, to: string, bytes: Uint8Array): void {
    const kept = this.#kept.get(from);
    kept?.socket?.send(to, bytes).then(
      () => {},
      () => this.#failures++,
    );
  }

  /** Keeps a socket open until it is unwanted. Never rejects. */
  async #keep(address: string, kept: Kept): Promise<void> {
    const { open, port, onOpened, onReceived, clock, log } = this.#options;
    const signal = AbortSignal.any([kept.unwanted.signal, this.#options.signal]);
    while (!signal.aborted) {
      try {
        const socket = await open({ address, port, onReceived: (from, bytes) => onReceived(address, from, bytes) });
        const close = () => socket.close();
        signal.addEventListener("abort", close, { once: true });
        if (signal.aborted) close();
        else {
          kept.socket = socket;
          kept.problem = undefined;
          kept.tries = 0;
          onOpened();
        }
        await socket.closed;
        kept.socket = undefined;
        signal.removeEventListener("abort", close);
      } catch (error) {
        this.#failures++;
        if (++kept.tries === WORRYING_TRIES) log.warn({ err: error, retryInMs: RETRY_MS }, "no socket for probes");
        if (kept.tries >= WORRYING_TRIES) kept.problem = error instanceof SpanwireError ? error.message : String(error);
      }
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }
}

interface Kept {
  readonly unwanted: AbortController;
  socket: ProbeSocket | undefined;
  tries: number;
  problem: string | undefined;
}
