/** @module `spanwire status`: the mesh at a glance, once or for as long as one watches. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { GatewayStatus, LinkTotals } from "@spanwire/proto/agent";
import {
  type Gateway,
  GetStatusResponseSchema,
  type MeshStatus,
  WatchStatusResponseSchema,
} from "@spanwire/proto/fleet";
import { GatewayStateSchema } from "@spanwire/proto/record";
import { Command } from "commander";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { formatAgo } from "../output/ago.ts";
import { enumName } from "../output/enum-name.ts";
import { render, renderNext } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";

export function statusCommand(session: Session): Command {
  return new Command("status")
    .description("show gateways, links and conditions")
    .option("--watch", "show it again whenever it changes")
    .addHelpText("after", examples("status", "status --watch", "status -o json"))
    .action(async ({ watch }: { watch?: boolean }, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      if (watch !== true) {
        const found = await fleet.getStatus({}, callOptions(session));
        session.out(render(output, GetStatusResponseSchema, found, () => statusText(found.status, session.now())));
        return;
      }
      for await (const found of untilInterrupted(session, fleet.watchStatus({}, { signal: session.signal }))) {
        const text = () => statusText(found.status, session.now());
        session.out(renderNext(output, WatchStatusResponseSchema, found, text));
      }
    });
}

/** Whoever watches ends it with an interrupt: that is no failure. */
async function* untilInterrupted<T>({ signal }: Session, stream: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function statusText(status: MeshStatus | undefined, nowMs: number): string {
  if (status === undefined) return "";
  const heading = `mesh ${status.meshId}   map ${status.lineage}.${status.sequence}   epoch ${status.epoch?.active ?? "?"}\n\n`;
  const rows = status.clusters.flatMap((cluster) => cluster.gateways.map((gateway) => ({ cluster, gateway })));
  const gateways = formatTable(
    rows,
    [
      { title: "gateway", value: ({ cluster, gateway }) => `${cluster.id}/${gateway.ordinal}` },
      { title: "state", value: ({ gateway }) => gatewayState(gateway) },
      { title: "links", value: ({ gateway }) => linksUp(gateway.status?.totals) },
      { title: "by", value: ({ gateway }) => paths(gateway.status) },
      { title: "failover", value: ({ gateway }) => lastFailover(gateway.status, nowMs) },
      { title: "behind", value: ({ gateway }) => behind(status.sequence, gateway) },
      { title: "seen", value: ({ gateway }) => formatAgo(gateway.lastSeen, nowMs) },
    ],
    { empty: "no gateways have joined; begin with: spanwire token create CLUSTER" },
  );
  return heading + gateways + conditionText(status);
}

function gatewayState({ statement, status }: Gateway): string {
  if (statement === undefined) return "silent";
  const state = enumName(GatewayStateSchema, statement.state);
  return status?.conditions.length ? `${state}, ${status.conditions.length} conditions` : state;
}

/** "2/3": links with a recent handshake, of all. */
function linksUp(totals: LinkTotals | undefined): string {
  return totals === undefined ? "-" : `${totals.established}/${totals.links}`;
}

/** "us/1": what is sent to us goes by that gateway alone; "-" where all gateways carry. */
function paths(status: GatewayStatus | undefined): string {
  const partial = status?.paths.filter(({ active, present }) => active.length < present.length) ?? [];
  return partial.map(({ clusterId, active }) => `${clusterId}/${active.join("+")}`).join(" ") || "-";
}

function lastFailover(status: GatewayStatus | undefined, nowMs: number): string {
  const times = status?.paths.flatMap(({ lastFailover: at }) => (at === undefined ? [] : [at])) ?? [];
  const last = times.toSorted((a, b) => timestampMs(b) - timestampMs(a))[0];
  return last === undefined ? "-" : formatAgo(last, nowMs);
}

function behind(sequence: bigint, { appliedSequence }: Gateway): string {
  return appliedSequence >= sequence ? "-" : String(sequence - appliedSequence);
}

function conditionText({ clusters, conditions }: MeshStatus): string {
  const ofGateways = clusters.flatMap(({ id, gateways }) =>
    gateways.flatMap(({ ordinal, status }) =>
      (status?.conditions ?? []).map(({ type, message }) => `${id}/${ordinal}  ${type}: ${message}`),
    ),
  );
  const lines = [...conditions.map(({ type, message }) => `mesh  ${type}: ${message}`), ...ofGateways];
  return lines.length === 0 ? "" : `\n${lines.join("\n")}\n`;
}
