/** @module Who carries what we send, as the status says it. Pure. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type PathHealth, PathHealthSchema } from "@spanwire/proto/agent";
import type { Path } from "./paths.ts";

/** Up to so many each is told. Of more, one by which all gateways carry is not. */
const SMALL_MESH_PATHS = 32;
const MAX_PATHS = 256;

/** Sorted by cluster. */
export function pathReport(paths: Iterable<Path>): PathHealth[] {
  const all = [...paths].sort((a, b) => (a.clusterId < b.clusterId ? -1 : 1));
  const told =
    all.length <= SMALL_MESH_PATHS ? all : all.filter(({ active, present }) => active.length < present.length);
  return told.slice(0, MAX_PATHS).map(({ clusterId, active, present, lastFailoverMs }) =>
    create(PathHealthSchema, {
      ...{ clusterId, active: [...active], present: [...present] },
      ...(lastFailoverMs === undefined ? {} : { lastFailover: timestampFromMs(lastFailoverMs) }),
    }),
  );
}
