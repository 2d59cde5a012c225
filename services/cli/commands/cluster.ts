/** @module `spanwire cluster`: the members of the mesh. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  DeleteClusterResponseSchema,
  type Ended,
  type Gateway,
  GetClusterResponseSchema,
  ListClustersResponseSchema,
  RevokeClusterResponseSchema,
  RevokeGatewayResponseSchema,
  type WatchAcknowledgementsResponse,
} from "@spanwire/proto/fleet";
import { ClusterKindSchema, DataplaneSchema, GatewayStateSchema } from "@spanwire/proto/record";
import { Command } from "commander";
import { examples } from "../examples.ts";
import type { FleetClient } from "../fleet.ts";
import { globalOptions } from "../global-options.ts";
import { parseOrdinal } from "../ordinal.ts";
import { formatAgo } from "../output/ago.ts";
import { enumName } from "../output/enum-name.ts";
import { render } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";
import { inviteCommand, invitesCommand } from "./invite.ts";

export function clusterCommand(session: Session): Command {
  return new Command("cluster")
    .description("list, show, invite, revoke and delete clusters")
    .addCommand(listCommand(session))
    .addCommand(showCommand(session))
    .addCommand(revokeCommand(session))
    .addCommand(deleteCommand(session))
    .addCommand(inviteCommand(session))
    .addCommand(invitesCommand(session));
}

function listCommand(session: Session): Command {
  return new Command("list")
    .description("list the clusters")
    .addHelpText("after", examples("cluster list", "cluster list -o yaml"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const listed = await (await session.fleet(context)).listClusters({}, callOptions(session));
      session.out(render(output, ListClustersResponseSchema, listed, () => clusterTable(listed.clusters)));
    });
}

function showCommand(session: Session): Command {
  return new Command("show")
    .description("show one cluster and its gateways")
    .argument("<cluster>", "id of the cluster")
    .addHelpText("after", examples("cluster show eu", "cluster show eu -o json"))
    .action(async (id: string, _options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const found = await (await session.fleet(context)).getCluster({ id }, callOptions(session));
      session.out(render(output, GetClusterResponseSchema, found, () => clusterText(found.cluster, session.now())));
    });
}

interface RevokeOptions {
  readonly gateway?: number;
  readonly reason: string;
  readonly wait: boolean;
}

function revokeCommand(session: Session): Command {
  return new Command("revoke")
    .description("end a cluster's gateways at once; its id and prefixes stay reserved")
    .argument("<cluster>", "id of the cluster")
    .option("--gateway <ordinal>", "end this gateway only", parseOrdinal)
    .option("--reason <text>", "why, for the record", "revoked by an operator")
    .option("--no-wait", "do not wait for the acknowledgements")
    .addHelpText("after", examples("cluster revoke us", "cluster revoke eu --gateway 1 --no-wait"))
    .action(async (id: string, { gateway, reason, wait }: RevokeOptions, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      const call = callOptions(session);
      const one = gateway === undefined ? undefined : { clusterId: id, ordinal: gateway, reason };
      const revoked = one ? await fleet.revokeGateway(one, call) : await fleet.revokeCluster({ id, reason }, call);
      const schema = one ? RevokeGatewayResponseSchema : RevokeClusterResponseSchema;
      session.out(
        render(output, schema, revoked, () => `${revoked.ended.map(({ key }) => `ended ${key}`).join("\n")}\n`),
      );
      if (wait) await followAcknowledgements(session, fleet, revoked.ended);
    });
}

function deleteCommand(session: Session): Command {
  return new Command("delete")
    .description("end a cluster and free its id, prefixes and overlay block")
    .argument("<cluster>", "id of the cluster")
    .option("--no-wait", "do not wait for the acknowledgements")
    .addHelpText("after", examples("cluster delete us"))
    .action(async (id: string, { wait }: { wait: boolean }, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      const deleted = await fleet.deleteCluster({ id }, callOptions(session));
      session.out(render(output, DeleteClusterResponseSchema, deleted, () => `deleted cluster ${id}\n`));
      if (wait) await followAcknowledgements(session, fleet, deleted.ended);
    });
}

const FOLLOW_LIMIT_MS = 30_000;

/** Reports until every reachable gateway has shown that its kernel holds none of the ended peers. */
async function followAcknowledgements(session: Session, fleet: FleetClient, ended: readonly Ended[]): Promise<void> {
  if (ended.length === 0) return;
  const request = { ended: [...ended] };
  const options = { signal: session.signal, timeoutMs: FOLLOW_LIMIT_MS };
  for await (const progress of fleet.watchAcknowledgements(request, options)) {
    if (!progress.complete) continue;
    session.note(acknowledgementText(progress));
    return;
  }
}

function acknowledgementText({ gateways }: WatchAcknowledgementsResponse): string {
  const times = gateways.flatMap(({ absentAt }) => (absentAt === undefined ? [] : [timestampDate(absentAt)]));
  const last = times.toSorted((a, b) => b.getTime() - a.getTime())[0];
  const silent = gateways.filter(({ absentAt }) => absentAt === undefined);
  const lines = last === undefined ? [] : [`gone from ${times.length} kernels, the last at ${last.toISOString()}`];
  const since = silent.map(
    ({ clusterId, ordinal, unreachableSince }) =>
      `unreachable since ${unreachableSince ? timestampDate(unreachableSince).toISOString() : "it joined"}: ${clusterId}/${ordinal}`,
  );
  return `${[...lines, ...since].join("\n")}\n`;
}

function clusterTable(clusters: readonly Cluster[]): string {
  return formatTable(
    clusters,
    [
      { title: "id", value: (cluster) => cluster.id },
      { title: "kind", value: (cluster) => enumName(ClusterKindSchema, cluster.kind) },
      { title: "prefixes", value: (cluster) => cluster.prefixes.join(",") },
      { title: "overlay", value: (cluster) => cluster.overlayIpv4 },
      { title: "gateways", value: (cluster) => cluster.gateways.map(({ ordinal }) => ordinal).join(",") },
      { title: "labels", value: ({ labels }) => labelText(labels) },
    ],
    { empty: "no clusters have joined; begin with: spanwire token create CLUSTER" },
  );
}

function clusterText(cluster: Cluster | undefined, nowMs: number): string {
  if (cluster === undefined) return "";
  const facts = [
    ["id", cluster.id],
    ["kind", enumName(ClusterKindSchema, cluster.kind)],
    ["prefixes", cluster.prefixes.join(", ")],
    ["overlay", `${cluster.overlayIpv4}, ${cluster.overlayIpv6}`],
    ["labels", labelText(cluster.labels)],
    ["order", `${cluster.incarnation}.${cluster.generation}`],
  ].map(([name = "", value = ""]) => `${name.padEnd(10)} ${value}`.trimEnd());
  return `${facts.join("\n")}\n\n${gatewayTable(cluster.gateways, nowMs)}`;
}

function gatewayTable(gateways: readonly Gateway[], nowMs: number): string {
  return formatTable(
    gateways,
    [
      { title: "gateway", value: ({ ordinal }) => String(ordinal) },
      {
        title: "state",
        value: ({ statement }) => (statement ? enumName(GatewayStateSchema, statement.state) : "silent"),
      },
      {
        title: "endpoints",
        value: ({ statement }) => statement?.endpoints.map((each) => `${each.host}:${each.basePort}`).join(",") ?? "",
      },
      {
        title: "dataplane",
        value: ({ statement }) => (statement ? enumName(DataplaneSchema, statement.dataplane) : ""),
      },
      { title: "version", value: ({ statement }) => statement?.agentVersion ?? "" },
      { title: "seen", value: ({ lastSeen }) => formatAgo(lastSeen, nowMs) },
      { title: "applied", value: ({ appliedSequence }) => String(appliedSequence) },
    ],
    { empty: "no gateways" },
  );
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(",");
}
