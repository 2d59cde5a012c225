/** @module Whether an ended peer is gone from every kernel that can be reached. Pure. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type WatchAcknowledgementsResponse, WatchAcknowledgementsResponseSchema } from "@spanwire/proto/fleet";
import { findUnreachable, type MeshFacts } from "./describe-mesh.ts";
import { absentSinceMs, type EndedRecord } from "./gateway-report.ts";

/**
 * Tells for every admitted gateway when its kernel held none of the ended peers any more, or since when it is
 * unreachable. Complete when each has one of the two.
 */
export function judgeAcknowledgements(facts: MeshFacts, ended: readonly EndedRecord[]): WatchAcknowledgementsResponse {
  const unreachable = new Map(
    findUnreachable(facts).map((each) => [`${each.clusterId}/${each.ordinal}`, each.sinceMs]),
  );
  const gateways = [...facts.records.admissions.values()].flatMap(({ clusterId, gateways: admitted }) =>
    admitted.map(({ ordinal, incarnation }) => {
      const report = facts.reportOf({ clusterId, ordinal });
      const absences = ended.map((each) => absentSinceMs(report, incarnation, each));
      const absentAtMs = lastOf(absences);
      const sinceMs = unreachable.get(`${clusterId}/${ordinal}`);
      return {
        clusterId,
        ordinal,
        ...(absentAtMs === undefined ? {} : { absentAt: timestampFromMs(absentAtMs) }),
        ...(sinceMs === undefined ? {} : { unreachableSince: timestampFromMs(sinceMs) }),
      };
    }),
  );
  gateways.sort((a, b) => (a.clusterId === b.clusterId ? a.ordinal - b.ordinal : a.clusterId < b.clusterId ? -1 : 1));
  const complete = gateways.every((each) => "absentAt" in each || "unreachableSince" in each);
  return create(WatchAcknowledgementsResponseSchema, { gateways, complete });
}

/** The latest, if none is missing. */
function lastOf(times: readonly (number | undefined)[]): number | undefined {
  let last: number | undefined;
  for (const time of times) {
    if (time === undefined) return undefined;
    last = Math.max(last ?? 0, time);
  }
  return last;
}
