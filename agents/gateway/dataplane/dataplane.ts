/** @module Keeps the kernel at the wish: one loop, woken by a new wish, by the kernel's events and by the time. */
import type { Compiled } from "@spanwire/core/desired/compile";
import type { Desired } from "@spanwire/core/desired/desired";
import type { Clock, Random } from "@spanwire/core/time";
import { classifyFailure, type Failure } from "@spanwire/runtime/loop/classify-failure";
import { endWith } from "@spanwire/runtime/loop/end-with";
import { type Loop, startLoop } from "@spanwire/runtime/loop/loop";
import type { Kernel } from "../kernel/port.ts";
import { Endpoints } from "./endpoints.ts";
import { type ForeignDrop, ForwardWatch } from "./forward-watch.ts";
import { type FullOutcome, type Outcome, Reconciler } from "./reconcile.ts";
import type { Resolve } from "./resolve-endpoint.ts";

export interface DataplaneOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  /** Resolves the names in endpoints. */
  readonly resolve: Resolve;
  /** Told after each step, also when there was nothing to do. */
  readonly onOutcome: (outcome: Reported) => void;
  /** Told when the kernel could not be read; `retryInMs` is undefined where only an event or a new wish helps. */
  readonly onFailure: (error: unknown, failure: Failure, retryInMs: number | undefined) => void;
  /** Awaited before the kernel is looked at: the place to read the host's networks again and want something else. */
  readonly beforeLook?: () => Promise<void>;
  /** How often everything is looked at although nothing has happened. */
  readonly everyMs?: number;
  readonly signal: AbortSignal;
}

/** `version` is that of the newest wish which the outcome takes in. */
export type Reported = (Outcome | Looked) & { readonly version: number };

export interface Looked extends FullOutcome {
  readonly foreignDrop: ForeignDrop | undefined;
}

const EVERY_MS = 5_000;
/** After a change that the kernel refused. */
const RETRY_MS = 1_000;
/** The kernel reports our own changes too, at most 200 ms late. */
const ECHO_MS = 250;
/** After an event that is probably our own: early enough to heal in time, late enough not to follow every change. */
const VERIFY_MS = 400;

export class Dataplane {
  readonly #options: DataplaneOptions;
  readonly #reconciler: Reconciler;
  readonly #forwardWatch: ForwardWatch;
  readonly #ended = new AbortController();
  #loop: Loop | undefined;
  #wish: Desired | undefined;
  #version = 0;
  /** Clusters whose fragment changed since the last step. */
  #changed = new Set<string>();
  #mustLook = true;
  #isStepping = false;
  /** The wait of the look that is due next. */
  #dueInMs = Number.POSITIVE_INFINITY;
  #lastWriteMs = Number.NEGATIVE_INFINITY;

  constructor(options: DataplaneOptions) {
    this.#options = options;
    const { kernel, resolve, clock } = options;
    this.#reconciler = new Reconciler(kernel, new Endpoints({ resolve, clock, onResolved: () => this.look() }));
    this.#forwardWatch = new ForwardWatch({ firewall: kernel.firewall, clock });
    endWith(options.signal, this.#ended);
  }

  /**
   * Makes this the wish and returns its version. It may be called at any time, also before `run`; all wishes that come
   * during a step are one further step. Until the first one the kernel is left as it is.
   */
  want({ desired, changed }: Compiled): number {
    this.#wish = desired;
    for (const id of changed) this.#changed.add(id);
    this.#loop?.wake();
    return ++this.#version;
  }

  /** Says "look at the whole kernel". */
  look(): void {
    this.#mustLook = true;
    this.#loop?.wake();
  }

  /** Resolves after the signal has aborted and the change in flight has been made; rejects with the error of a bug. */
  async run(): Promise<void> {
    const { clock, random, onFailure } = this.#options;
    this.#loop = startLoop({ step: () => this.#step(), onFailure, clock, random, signal: this.#ended.signal });
    try {
      await Promise.all([this.#loop.done, this.#watch(), this.#tick()]);
    } finally {
      this.#ended.abort();
    }
  }

  async #step(): Promise<undefined> {
    this.#isStepping = true;
    try {
      await this.#reach();
    } finally {
      this.#isStepping = false;
    }
  }

  /** By the fast path where that will do. */
  async #reach(): Promise<void> {
    const wish = this.#wish;
    if (wish === undefined) return;
    if (!this.#mustLook) {
      const version = this.#version;
      const outcome = await this.#reconciler.fast(wish, this.#takeChanged(), this.#ended.signal);
      if (outcome !== undefined) return this.#report({ ...outcome, version });
    }
    this.#mustLook = false; // before anything is read: what happens from now on needs a look of its own
    try {
      await this.#reachByLooking(wish);
    } catch (error) {
      this.#mustLook = true;
      throw error;
    }
  }

  async #reachByLooking(wish: Desired): Promise<void> {
    await this.#options.beforeLook?.();
    const foreignDrop = await this.#forwardWatch.look();
    let version = this.#version;
    const read = (): Desired => {
      this.#takeChanged();
      version = this.#version;
      return this.#wish ?? wish;
    };
    const outcome = await this.#reconciler.full(read, this.#ended.signal);
    this.#report({ ...outcome, foreignDrop, version });
  }

  #takeChanged(): ReadonlySet<string> {
    const taken = this.#changed;
    this.#changed = new Set();
    return taken;
  }

  #report(outcome: Reported): void {
    if (outcome.done.length > 0) this.#lastWriteMs = this.#options.clock.now();
    if (outcome.failures.length > 0) this.#lookIn(RETRY_MS);
    this.#options.onOutcome(outcome);
  }

  async #watch(): Promise<void> {
    const { kernel, clock, onFailure } = this.#options;
    while (!this.#ended.signal.aborted) {
      try {
        for await (const _ of kernel.network.watch(this.#ended.signal)) this.#onEvent();
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        const failure = classifyFailure(error);
        if (failure === "bug") throw error;
        onFailure(error, failure, RETRY_MS);
        this.look(); // what happened meanwhile was not seen
        await clock.sleep(RETRY_MS, this.#ended.signal).catch(() => {});
      }
    }
  }

  #onEvent(): void {
    const isEcho = this.#isStepping || this.#options.clock.now() - this.#lastWriteMs < ECHO_MS;
    if (isEcho) this.#lookIn(VERIFY_MS);
    else this.look();
  }

  async #tick(): Promise<void> {
    const { clock, everyMs = EVERY_MS } = this.#options;
    while (!this.#ended.signal.aborted) {
      await clock.sleep(everyMs, this.#ended.signal).catch(() => {});
      this.look();
    }
  }

  /** Any number of events is one look: the first that is due comes soon enough for the others. */
  #lookIn(ms: number): void {
    if (this.#dueInMs <= ms) return;
    this.#dueInMs = ms;
    this.#options.clock.sleep(ms, this.#ended.signal).then(
      () => {
        this.#dueInMs = Number.POSITIVE_INFINITY;
        this.look();
      },
      () => {}, // aborted
    );
  }
}
