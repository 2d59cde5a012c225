/** @module The state of the mesh for operators, once or for as long as one watches. */
import { equals } from "@bufbuild/protobuf";
import type { Clock } from "@spanwire/core/time";
import {
  type FleetService,
  type MeshStatus,
  MeshStatusSchema,
  WatchAcknowledgementsResponseSchema,
} from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import type { Changes } from "@spanwire/runtime/loop/changes";
import { describeMesh } from "../status/describe-mesh.ts";
import { judgeAcknowledgements } from "../status/judge-acknowledgements.ts";
import type { FleetOptions } from "./fleet-service.ts";
import { meshFacts } from "./mesh-facts.ts";

type StatusMethods = "getStatus" | "watchStatus" | "watchAcknowledgements";

/** At most this often; what happens in between is one change. */
const STATUS_PAUSE_MS = 500;
const ACKNOWLEDGEMENT_PAUSE_MS = 20;
/** Somebody who falls silent changes the status without an event. */
const LOOK_AGAIN_MS = 5_000;

export function statusHandlers(options: FleetOptions): Pick<Handlers<typeof FleetService>, StatusMethods> {
  const { map, reports, gateways, writer, clock } = options;
  const look = (): MeshStatus => {
    writer.registry();
    return describeMesh(meshFacts(options));
  };
  const sources = [map.changes, reports.changes, gateways.changes];
  return {
    getStatus: async () => ({ status: look() }),
    async *watchStatus(_request, { signal }) {
      let sent: MeshStatus | undefined;
      for await (const _ of lookings(sources, { clock, pauseMs: STATUS_PAUSE_MS, signal })) {
        const status = look();
        // The time alone is no news.
        const { hubTime } = status;
        if (
          sent !== undefined &&
          equals(MeshStatusSchema, { ...status, ...(sent.hubTime && { hubTime: sent.hubTime }) }, sent)
        )
          continue;
        sent = { ...status, ...(hubTime && { hubTime }) };
        yield { status };
      }
    },
    async *watchAcknowledgements({ ended }, { signal }) {
      let sent: ReturnType<typeof judgeAcknowledgements> | undefined;
      for await (const _ of lookings(sources, { clock, pauseMs: ACKNOWLEDGEMENT_PAUSE_MS, signal })) {
        const progress = judgeAcknowledgements(meshFacts(options), ended);
        if (sent !== undefined && equals(WatchAcknowledgementsResponseSchema, progress, sent)) continue;
        sent = progress;
        yield progress;
        if (progress.complete) return;
      }
    },
  };
}

interface LookOptions {
  readonly clock: Clock;
  /** The least time between two looks. */
  readonly pauseMs: number;
  readonly signal: AbortSignal;
}

/** Says "look": at once, after each change of any source, and every few seconds; ends when the signal aborts. */
async function* lookings(sources: readonly Changes[], { clock, pauseMs, signal }: LookOptions): AsyncGenerator<void> {
  while (!signal.aborted) {
    const versions = sources.map(({ version }) => version);
    yield;
    await clock.sleep(pauseMs, signal).catch(() => {});
    if (signal.aborted) return;
    const heard = new AbortController();
    const either = AbortSignal.any([signal, heard.signal]);
    const waits = sources.map((source, index) => source.after(versions[index] ?? 0, either));
    await Promise.race([...waits, clock.sleep(LOOK_AGAIN_MS, either)]).catch(() => {});
    heard.abort();
    await Promise.allSettled(waits);
  }
}
