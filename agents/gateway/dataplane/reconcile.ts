/** @module Brings the kernel to a wish: all of it by looking, or only what changed in the wish since the last time. */
import { isDeepStrictEqual } from "node:util";
import { type Desired, EMPTY_FRAGMENT, type Fragment, flatten } from "@spanwire/core/desired/desired";
import type { Firewall, KernelState } from "@spanwire/core/desired/state";
import type { Change } from "../kernel/change.ts";
import { firewallDigest } from "../kernel/nft/digest.ts";
import type { Kernel } from "../kernel/port.ts";
import { type Applied, apply, type Failure } from "./apply.ts";
import { diff, diffFragments, type FragmentChange } from "./diff.ts";
import { presentFirewall } from "./diff-firewall.ts";
import type { Endpoints } from "./endpoints.ts";
import { type Observed, observe } from "./observe.ts";
import { findUnusable, type Unusable, withoutDevices } from "./usable.ts";

export interface Outcome {
  /** full: the whole kernel was read. fast: only what changed in the wish was written. */
  readonly path: "full" | "fast";
  /** In order. */
  readonly done: readonly Change[];
  /** What the kernel refuses now. */
  readonly failures: readonly Failure[];
  /** Whether `done` undid what somebody else had done: the wish was the same as before. */
  readonly repaired: boolean;
}

export interface FullOutcome extends Outcome {
  readonly path: "full";
  /** As it was found. */
  readonly observed: Observed;
  /** Wanted devices that are not to be had, after all changes. */
  readonly unusable: ReadonlyMap<string, Unusable>;
  /** Names in endpoints that have no address yet. */
  readonly unresolved: readonly string[];
}

export class Reconciler {
  readonly #kernel: Kernel;
  readonly #endpoints: Endpoints | undefined;
  /** Undefined while anything may be otherwise: at first, during a change, and after one that failed. */
  #held: Held | undefined;
  /** Rendering a large firewall takes milliseconds, and at rest it is the same one at each look. */
  readonly #digests = new WeakMap<Firewall, string>();

  /** Without `endpoints` a peer keeps the endpoint that it was made with. */
  constructor(kernel: Kernel, endpoints?: Endpoints) {
    this.#kernel = kernel;
    this.#endpoints = endpoints;
  }

  /**
   * Reads the kernel and brings all of it to the wish that `read` returns once it has been read. Safe at any time;
   * where all is as it should be it writes nothing. Throws what reading the kernel throws.
   */
  async full(read: () => Desired, signal?: AbortSignal): Promise<FullOutcome> {
    const observed = await observe(this.#kernel);
    const held = this.#held;
    const wish = capture(read());
    const isSameWish = held !== undefined && isSame(held.wish, wish);
    const desired = isSameWish ? (held.flat ?? flatten(wish)) : flatten(wish);
    const firewall = presentFirewall(desired.firewall, observed.firewall, {
      former: held?.firewall,
      digestOf: (model) => this.#digestOf(model),
    });
    this.#held = undefined;

    const foreign = new Map([...findUnusable(desired.links, observed)].filter(([, why]) => why === "foreign"));
    const possible = withoutDevices(desired, foreign);
    const changes = diff(possible, observed, firewall);
    const endpoints = this.#endpoints?.look(possible.peers, observed, desired.firewall?.remote ?? []) ?? [];
    const first = await apply(this.#kernel, [...changes, ...endpoints], signal);
    const last = first.failures.length === 0 ? undefined : await this.#withoutLostDevices(desired, signal);

    const unusable = last?.unusable ?? foreign;
    const failures = last?.failures ?? [];
    if (failures.length === 0 && unusable.size === 0 && !signal?.aborted) {
      this.#held = { wish, flat: desired, firewall: desired.firewall };
    }
    const done = [...first.done, ...(last?.done ?? [])];
    const repaired = isSameWish && done.some(({ kind }) => kind !== "set-endpoint");
    return {
      path: "full",
      observed,
      done,
      failures,
      unusable,
      repaired,
      unresolved: this.#endpoints?.unresolved ?? [],
    };
  }

  /**
   * Writes what differs between the fragments of the clusters in `changed` and those that the kernel was brought to.
   * Undefined when that is not known, or something else changed as well: then only the full way is safe.
   */
  async fast(wish: Desired, changed: Iterable<string>, signal?: AbortSignal): Promise<Outcome | undefined> {
    const held = this.#held;
    if (held === undefined || !isSameHost(held.wish, wish)) return undefined;
    const fragments = new Map<string, FragmentChange>();
    for (const id of changed) {
      const former = held.wish.clusters.get(id) ?? EMPTY_FRAGMENT;
      const next = wish.clusters.get(id) ?? EMPTY_FRAGMENT;
      if (former !== next) fragments.set(id, { former, next });
    }
    const touchesFirewall = [...fragments.values()].some(isOfFirewall);
    const firewall = touchesFirewall ? flatten(wish).firewall : held.firewall;
    const changes = diffFragments([...fragments.values()], { former: held.firewall, next: firewall });
    if (changes === undefined) return undefined;
    const endpoints = [...fragments.values()].flatMap(({ former, next }) =>
      former.peers === next.peers ? [] : (this.#endpoints?.change(former.peers, next.peers) ?? []),
    );

    this.#held = undefined;
    const { done, failures } = await apply(this.#kernel, [...changes, ...endpoints], signal);
    if (failures.length === 0 && !signal?.aborted) {
      for (const [id, { next }] of fragments) {
        if (next === EMPTY_FRAGMENT) held.wish.clusters.delete(id);
        else held.wish.clusters.set(id, next);
      }
      this.#held = { wish: held.wish, flat: fragments.size === 0 ? held.flat : undefined, firewall };
    }
    return { path: "fast", done, failures, repaired: false };
  }

  /** Looks again after a failure and does what can be done without the devices that are still missing. */
  async #withoutLostDevices(
    desired: KernelState,
    signal: AbortSignal | undefined,
  ): Promise<Applied & { readonly unusable: ReadonlyMap<string, Unusable> }> {
    const observed = await observe(this.#kernel);
    const unusable = findUnusable(desired.links, observed);
    const applied = await apply(this.#kernel, diff(withoutDevices(desired, unusable), observed), signal);
    return { ...applied, unusable };
  }

  #digestOf(firewall: Firewall): string {
    const digest = this.#digests.get(firewall) ?? firewallDigest(firewall);
    this.#digests.set(firewall, digest);
    return digest;
  }
}

/** What the kernel was last brought to. */
interface Held {
  readonly wish: Captured;
  /** The wish as one state, until a piece of it changed. */
  readonly flat: KernelState | undefined;
  readonly firewall: Firewall | undefined;
}

/** A wish with a map of its own: the compiler's moves on. */
type Captured = Desired & { readonly clusters: Map<string, Fragment> };

function capture(wish: Desired): Captured {
  return { ...wish, clusters: new Map(wish.clusters) };
}

function isSame(a: Desired, b: Desired): boolean {
  return (
    isSameHost(a, b) &&
    a.clusters.size === b.clusters.size &&
    [...a.clusters].every(([id, fragment]) => b.clusters.get(id) === fragment)
  );
}

function isSameHost(a: Desired, b: Desired): boolean {
  return a.base === b.base && (a.firewall === b.firewall || isDeepStrictEqual(a.firewall, b.firewall));
}

const LISTS_OF_FIREWALL = ["remote", "kept", "forward", "snat"] as const;

function isOfFirewall({ former, next }: FragmentChange): boolean {
  return LISTS_OF_FIREWALL.some((list) => former[list] !== next[list]);
}
