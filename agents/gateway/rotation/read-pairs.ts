/** @module Which pairs there are and on which epochs they live: from the wish, or, after a start, from the kernel. Pure. */
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Fragment } from "@spanwire/core/desired/desired";
import { findLane, laneName, planeOfEpoch } from "@spanwire/core/desired/lane";
import type { PairLanes } from "@spanwire/core/desired/local-facts";
import { gatewayNexthopId, ordinalOfNexthop } from "@spanwire/core/desired/nexthop-id";
import type { Plane } from "@spanwire/core/desired/state";
import { parseKey } from "@spanwire/core/records/key";
import type { RecordMap } from "@spanwire/core/records/record-map";
import type { Observed } from "../dataplane/observe.ts";

/** The epoch of which we hold the key, by plane. */
export type OwnEpochs = ReadonlyMap<Plane, bigint>;

/** By gateway ("us.0"): the pairs of one remote cluster as the wish has them. */
export function wantedPairs(
  clusterId: string,
  { peers, nexthops }: Pick<Fragment, "peers" | "nexthops">,
  own: OwnEpochs,
): ReadonlyMap<string, PairLanes> {
  const pairs = new Map<string, PairLanes>();
  const sending = new Map<number, bigint | undefined>();
  for (const nexthop of nexthops) {
    if (nexthop.kind === "device") sending.set(ordinalOfNexthop(nexthop.id), epochOf(nexthop.device, own));
  }
  for (const { device } of peers) {
    const [lane, epoch] = [findLane(device), epochOf(device, own)];
    if (lane === undefined || epoch === undefined) continue;
    const name = `${clusterId}.${lane.remoteOrdinal}`;
    const build = [...(pairs.get(name)?.build ?? []), epoch].sort((a, b) => (a < b ? -1 : 1));
    pairs.set(name, { build, sendOn: sending.get(lane.remoteOrdinal) });
  }
  return pairs;
}

/** By gateway: what the kernel holds for the statements of the map, of the keys that we have. */
export function presentPairs(
  { statements, admissions }: Pick<RecordMap, "statements" | "admissions">,
  { devices, network }: Pick<Observed, "devices" | "network">,
  own: OwnEpochs,
): ReadonlyMap<string, PairLanes> {
  const present = new Set(
    [...devices.values()].flatMap(({ name, peers }) => peers.map(({ publicKey }) => `${name} ${publicKey}`)),
  );
  const lanes = new Map(network.nexthops.flatMap((each) => (each.kind === "device" ? [[each.id, each.device]] : [])));
  const pairs = new Map<string, PairLanes>();
  for (const [key, { statement }] of statements) {
    const parsed = parseKey(key);
    if (parsed.type !== "gateway") continue;
    const { clusterId, ordinal } = parsed;
    const build = statement.keys.flatMap(({ epoch, publicKey }) => {
      const device = laneName(planeOfEpoch(epoch), ordinal);
      const isOurs = own.get(planeOfEpoch(epoch)) === epoch;
      return isOurs && present.has(`${device} ${base64Encode(publicKey)}`) ? [epoch] : [];
    });
    if (build.length === 0) continue;
    const block = admissions.get(clusterId)?.overlayIndex ?? 0;
    const lane = lanes.get(gatewayNexthopId(block, ordinal, "ipv4"));
    pairs.set(`${clusterId}.${ordinal}`, {
      build: build.sort((a, b) => (a < b ? -1 : 1)),
      sendOn: lane === undefined ? undefined : epochOf(lane, own),
    });
  }
  return pairs;
}

function epochOf(device: string, own: OwnEpochs): bigint | undefined {
  const lane = findLane(device);
  return lane && own.get(lane.plane);
}
