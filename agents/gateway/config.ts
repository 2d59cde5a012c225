/** @module Settings of the agent: a YAML file, overruled by SPANWIRE_AGENT_… variables, overruled by flags. */
import { readCidr } from "@spanwire/core/address/cidr";
import { DEFAULT_BASE_PORT, DEFAULT_MTU_BYTES, DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import { DEFAULT_PROBE_PORT } from "@spanwire/core/liveness/probe";
import { oneTimeSecretText } from "@spanwire/runtime/config/secret-text";
import { LOG_LEVELS } from "@spanwire/runtime/log/create-log";
import { z } from "zod";
import { findEndpoint } from "./endpoint.ts";
import { DEFAULT_PAIR_TIMES } from "./rotation/pair.ts";

const port = z.number().int().min(0).max(65_535);
/** 16 ordinals with two lanes each. */
const MAX_LANE_PORTS = 32;

const prefix = z.string().check((context) => {
  const read = readCidr(context.value);
  if (!read.ok) context.issues.push({ code: "custom", message: read.problem, input: context.value });
});

const endpoint = z.string().check((context) => {
  if (findEndpoint(context.value, DEFAULT_BASE_PORT) !== undefined) return;
  const message = `"${context.value}" is no endpoint: write an address or a name, and the base port if it is another`;
  context.issues.push({ code: "custom", message, input: context.value });
});

export const agentConfigSchema = z.strictObject({
  /** Keys, membership and the last known map: 0700, of this agent alone. */
  stateDir: z.string().min(1).default("/var/lib/spanwire-agent"),
  /** The join token; needed for the first start only. As a file, which may be removed afterwards: tokenFile. */
  token: oneTimeSecretText.optional(),
  /** Instead of a token: the text that `spanwire cluster invite` printed. */
  invite: z.string().min(1).optional(),
  /** Where the platform keeps this workload's token; read anew at each use. */
  workloadTokenFile: z.string().min(1).default("/var/run/secrets/spanwire/token"),
  /** To be sure of what is joined: token and invite name their cluster, too. */
  clusterId: z.string().optional(),
  /** Where the hub is now, if not where the token says: host:port. */
  hubAddress: z.string().optional(),
  kind: z.enum(["kubernetes", "vm", "on-premises"]).default("vm"),
  /** What the cluster announces; of its first gateway. */
  prefixes: z.array(prefix).default([]),
  labels: z.record(z.string(), z.string()).default({}),
  /** Of this gateway; absent takes the lowest free one. */
  ordinal: z.number().int().min(0).max(15).optional(),
  /** Where others reach this gateway, best first: "192.0.2.1", "gw.example:51820"; none behind a NAT. */
  endpoints: z.array(endpoint).default([]),
  /** The first of the lanes' UDP ports, two for each ordinal. */
  basePort: z
    .number()
    .int()
    .min(1)
    .max(65_536 - MAX_LANE_PORTS)
    .default(DEFAULT_BASE_PORT),
  /** UDP, on the addresses inside the tunnels: the same at every gateway of the mesh. */
  probePort: z.number().int().min(1).max(65_535).default(DEFAULT_PROBE_PORT),
  rotation: z
    .strictObject({
      /** How long both ends must have sent with their new keys before the former ones are given up. */
      drainSeconds: z
        .number()
        .positive()
        .default(DEFAULT_PAIR_TIMES.drainMs / 1_000),
      /** A gateway that was not heard for so long is away: a rotation does not wait for it. */
      absentAfterSeconds: z
        .number()
        .positive()
        .default(DEFAULT_PAIR_TIMES.absentAfterMs / 1_000),
    })
    .prefault({}),
  /** Takes no traffic while another gateway of the cluster serves. */
  draining: z.boolean().default(false),
  dataplane: z.enum(["kernel", "userspace"]).default("kernel"),
  /** The wireguard-go to run in userspace; found in PATH by default. */
  wireguardGo: z.string().default("wireguard-go"),
  mtuBytes: z.number().int().min(1_280).max(9_000).default(DEFAULT_MTU_BYTES),
  /** Inner IPv6; absent carries it where the kernel has it. */
  ipv6: z.enum(["routed", "guarded", "off"]).optional(),
  /** Local prefixes whose hosts are translated to this gateway's overlay address when they go out. */
  snat: z.array(prefix).default([]),
  routing: z
    .strictObject({
      table: z.number().int().min(1).default(DEFAULT_ROUTING.table),
      rulePriority: z.number().int().min(1).max(32_765).default(DEFAULT_ROUTING.rulePriority),
      mark: z.number().int().min(1).default(DEFAULT_ROUTING.fwmark.mark),
      mask: z.number().int().min(1).default(DEFAULT_ROUTING.fwmark.mask),
    })
    .prefault({}),
  /** Probes and metrics; off if absent. */
  metricsPort: port.optional(),
  /** Anybody who reaches it may read them. */
  metricsListen: z.string().default("127.0.0.1"),
  logLevel: z.enum(LOG_LEVELS).default("info"),
  /** OTLP collector that traces are sent to, "http://collector:4318"; off if absent. */
  tracesEndpoint: z.url().optional(),
});

export type AgentConfig = z.output<typeof agentConfigSchema>;
