/** @module `spanwire agent`: the gateway agent as a process, and the short commands beside it. */

import { VERSION } from "@spanwire/core/version";
import type { Applied } from "@spanwire/gateway/dataplane/apply";
import { Command, InvalidArgumentError, Option } from "commander";
import { examples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { parseOrdinal } from "../ordinal.ts";
import type { Session } from "../session.ts";

interface AgentFlags {
  readonly config?: string;
  readonly stateDir?: string;
  readonly tokenFile?: string;
  readonly invite?: string;
  readonly workloadTokenFile?: string;
  readonly hub?: string;
  readonly kind?: string;
  readonly prefix?: readonly string[];
  readonly label?: readonly string[];
  readonly ordinal?: number;
  readonly endpoint?: readonly string[];
  readonly basePort?: number;
  readonly dataplane?: string;
  readonly wireguardGo?: string;
  readonly snat?: readonly string[];
  readonly draining?: boolean;
  readonly metricsPort?: number;
  readonly logLevel?: string;
}

export function agentCommand(session: Session): Command {
  return new Command("agent")
    .description("run a site's gateway agent")
    .addCommand(runCommand(session))
    .addCommand(downCommand(session))
    .addCommand(guardCommand(session))
    .addCommand(leaveCommand(session));
}

function runCommand(session: Session): Command {
  return withAgentFlags(new Command("run"))
    .description("join with a token if this machine has not joined, and keep the kernel at what the mesh asks")
    .addHelpText("after", RUN_EXAMPLES)
    .action(async (flags: AgentFlags) => {
      const { main, config, log } = await load(flags);
      await main.run(config, { log, version: VERSION, signal: session.signal });
    });
}

const RUN_EXAMPLES = `
It needs CAP_NET_ADMIN and nothing more. When it ends, the kernel keeps what it has and traffic goes on.
${examples(
  "agent run --token-file eu.token --prefix 10.1.0.0/16 --endpoint 192.0.2.10",
  "agent run --token-file plant.token --prefix 10.3.0.0/24    # behind a NAT: it dials the others",
  "agent run --invite swi1.… --workload-token-file /run/token --kind kubernetes    # a pod, by its own identity",
  "agent run                                                  # has joined before",
)}`;

function downCommand(session: Session): Command {
  return withAgentFlags(new Command("down"))
    .description("take everything of Spanwire out of this host's kernel; keys and membership stay")
    .addHelpText("after", examples("agent down"))
    .action(async (flags: AgentFlags) => {
      const { main, config } = await load(flags);
      report(session, await main.down(config, session.signal), "removed");
    });
}

function guardCommand(session: Session): Command {
  return withAgentFlags(new Command("guard"))
    .description("load the guard from the stored map, so that nothing leaves in clear before the agent runs")
    .addHelpText("after", examples("agent guard"))
    .action(async (flags: AgentFlags) => {
      const { main, config, log } = await load(flags);
      report(session, await main.guard(config, { log, version: VERSION }), "loaded");
    });
}

function leaveCommand(session: Session): Command {
  return withAgentFlags(new Command("leave"))
    .description("end this gateway at the hub; `agent down` then empties the kernel")
    .addHelpText("after", examples("agent leave && spanwire agent down"))
    .action(async (flags: AgentFlags) => {
      const { main, config } = await load(flags);
      await main.leaveMesh(config, session.signal);
      session.note("this gateway has left the mesh\n");
    });
}

function withAgentFlags(command: Command): Command {
  return command
    .option("--config <file>", "YAML file with any of the settings")
    .option("--state-dir <folder>", "keys, membership and map (default /var/lib/spanwire-agent)")
    .option("--token-file <file>", "the join token; for the first start, and where the hub has forgotten this gateway")
    .option("--invite <text>", "instead of a join token: what `spanwire cluster invite` printed")
    .option("--workload-token-file <file>", "where the platform keeps this workload's token")
    .option("--hub <host:port>", "where the hub is now, if not where the token says")
    .addOption(new Option("--kind <kind>", "what the cluster is").choices(["kubernetes", "vm", "on-premises"]))
    .option("--prefix <cidr...>", "what the cluster announces; of its first gateway")
    .option("--label <name=value...>", "labels of the cluster, for link policies", collectLabel)
    .option("--ordinal <n>", "of this gateway (default: the lowest free one)", parseOrdinal)
    .option("--endpoint <host...>", "where others reach this gateway, best first; none behind a NAT")
    .option("--base-port <port>", "the first of the lanes' UDP ports (default 51820)", Number)
    .addOption(new Option("--dataplane <kind>", "who encrypts (default kernel)").choices(["kernel", "userspace"]))
    .option("--wireguard-go <file>", "the wireguard-go to run with --dataplane userspace")
    .option("--snat <cidr...>", "local prefixes whose hosts go out with this gateway's overlay address")
    .option("--draining", "take no traffic while another gateway of the cluster serves")
    .option("--metrics-port <n>", "probes and Prometheus metrics on 127.0.0.1; off if not given", Number)
    .option("--log-level <level>", "debug, info, warn, error or silent");
}

/** Loads the agent and its libraries only here: the other commands start without them. */
async function load(flags: AgentFlags) {
  const [main, { agentConfigSchema }, { loadConfig }, { createLog }] = await Promise.all([
    import("@spanwire/gateway/main"),
    import("@spanwire/gateway/config"),
    import("@spanwire/runtime/config/load-config"),
    import("@spanwire/runtime/log/create-log"),
  ]);
  const { config: file, hub, prefix, label, endpoint, ...rest } = flags;
  const labels = label === undefined ? undefined : Object.fromEntries(label.map((each) => each.split("=")));
  const config = await loadConfig(agentConfigSchema, {
    file,
    env: process.env,
    envPrefix: "SPANWIRE_AGENT_",
    flags: { ...rest, hubAddress: hub, prefixes: prefix, labels, endpoints: endpoint },
  });
  return { main, config, log: createLog({ name: "agent", level: config.logLevel }) };
}

function collectLabel(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^[^=]+=[^=]*$/.test(text)) throw new InvalidArgumentError('write a label as in "role=hub"');
  return [...before, text];
}

function report(session: Session, { done, failures }: Applied, verb: string): void {
  session.note(done.length === 0 ? "nothing to do\n" : `${verb} ${done.length} objects\n`);
  for (const { error } of failures) session.note(`${error instanceof Error ? error.message : String(error)}\n`);
  if (failures.length > 0) session.exitWith(EXIT.failed);
}
