/**
 * @module Whether another firewall on this host drops what we forward. The traffic itself is the probe: our table counts
 * the mesh's packets before and after every chain on the forward hook.
 */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import type { FirewallPort, ForeignChain, Forwarded } from "../kernel/port.ts";

/** Somebody else drops forwarded packets of the mesh. */
export interface ForeignDrop {
  /** Those that could; none where it is not nft that does (iptables-legacy, BPF). */
  readonly chains: readonly ForeignChain[];
}

export interface ForwardWatchOptions {
  readonly firewall: Pick<FirewallPort, "forwarded" | "foreignChains">;
  readonly clock: Clock;
}

const NOTHING = { entered: 0, denied: 0, passed: 0 };
/** Packets that may be on their way through the hook while its counters are read, one after the other. */
const UNDER_WAY = 8;
/** So long without a loss, while packets do pass, is the end of it. */
const CALM_MS = 60_000;

export class ForwardWatch {
  readonly #options: ForwardWatchOptions;
  #entered = 0;
  /** Lost packets that are no news. What had been lost before the first look is none: that firewall may be gone. */
  #known: number | undefined;
  #found: Found | undefined;

  constructor(options: ForwardWatchOptions) {
    this.#options = options;
  }

  /** Returns what has to be said now. Throws what reading the counters throws. */
  async look(): Promise<ForeignDrop | undefined> {
    const { firewall, clock } = this.#options;
    // Before the counters are read: what they say then was lost may have been lost before the change.
    const isChanged = this.#found !== undefined && (await this.#isChanged(this.#found));
    const counted = (await firewall.forwarded()) ?? NOTHING;
    const { entered, denied, passed } = counted;
    if (entered < this.#entered) this.#known = 0; // the table was made anew
    this.#entered = entered;
    this.#known ??= await this.#lostAtMost(counted);
    if (isChanged) {
      this.#known = await this.#lostAtMost(counted);
      this.#found = undefined;
    } else if (entered - denied - passed > this.#known + UNDER_WAY) {
      this.#known = await this.#lostAtMost(counted);
      this.#found = { chains: await this.#suspects(), atMs: clock.now(), passed };
    } else if (this.#found !== undefined && this.#isCalm(this.#found, passed)) {
      this.#found = undefined;
    }
    return this.#found && { chains: this.#found.chains };
  }

  /**
   * Counters that are read one after the other, in the order of a packet's way, make a loss look smaller by what passes
   * meanwhile. What is compared with later must not: a quieter moment would look like a loss.
   */
  async #lostAtMost({ denied, passed }: Forwarded): Promise<number> {
    const { entered } = (await this.#options.firewall.forwarded()) ?? NOTHING;
    return Math.max(0, entered - denied - passed);
  }

  /** A firewall that was changed is judged anew, by what it does from now on. */
  async #isChanged({ chains }: Found): Promise<boolean> {
    return versions(await this.#suspects()) !== versions(chains);
  }

  #isCalm({ atMs, passed }: Found, nowPassed: number): boolean {
    return nowPassed > passed && this.#options.clock.now() - atMs > CALM_MS;
  }

  /** That packets are lost is worth saying without names, too. */
  async #suspects(): Promise<readonly ForeignChain[]> {
    try {
      return await this.#options.firewall.foreignChains();
    } catch (error) {
      if (error instanceof SpanwireError) return [];
      throw error;
    }
  }
}

interface Found extends ForeignDrop {
  /** When packets were last seen lost, and how many had passed by then. */
  readonly atMs: number;
  readonly passed: number;
}

function versions(chains: readonly ForeignChain[]): string {
  return chains.map(({ name, version }) => `${name} ${version}`).join();
}
