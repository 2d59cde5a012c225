/** @module Pings between LAN hosts. */
import type { Site } from "../netns/topology.ts";

const PINGS = 5;

export interface PingRow {
  readonly from: string;
  readonly to: string;
  readonly lost: number;
  /** Milliseconds, of the last ping. */
  readonly roundTripMs: number | undefined;
}

/** Pings from each site's LAN host to each other's, all at once. */
export async function pingMatrix(sites: readonly Site[]): Promise<readonly PingRow[]> {
  const pairs = sites.flatMap((from) => sites.filter((to) => to !== from).map((to) => ({ from, to })));
  return Promise.all(pairs.map(({ from, to }) => ping(from, to)));
}

async function ping(from: Site, to: Site): Promise<PingRow> {
  const { host } = from;
  const said = await host.namespace.sh(`ping -n -c ${PINGS} -i 0.2 -W 2 ${to.host.address.ipv4} || true`);
  const received = Number(/(\d+) received/.exec(said)?.[1] ?? 0);
  const last = /time=([\d.]+) ms(?!.*time=)/s.exec(said)?.[1];
  return {
    from: from.name,
    to: to.name,
    lost: PINGS - received,
    roundTripMs: last === undefined ? undefined : Number(last),
  };
}
