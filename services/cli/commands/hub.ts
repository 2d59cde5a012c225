/** @module `spanwire up` and `spanwire hub run`: the hub as a process in the foreground. */
import { homedir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import type { Session } from "../session.ts";

interface HubFlags {
  readonly config?: string;
  readonly profile?: string;
  readonly dir?: string;
  readonly listen?: string;
  readonly advertise?: string;
  readonly registrationPort?: number;
  readonly fleetPort?: number;
  readonly metricsPort?: number;
  readonly natsPort?: number;
  readonly natsServer?: string;
  readonly logLevel?: string;
}

const DEFAULT_DIR = join(homedir(), ".spanwire");

export function upCommand(session: Session): Command {
  return withHubFlags(new Command("up"))
    .description("start a hub with its own NATS, keys and certificates, made on first start")
    .addHelpText("after", UP_EXAMPLES)
    .action((flags: HubFlags) => runHub(session, { dir: DEFAULT_DIR, ...flags }));
}

const UP_EXAMPLES = `
It runs until it is interrupted; a second start goes on where the first one ended. Needs nats-server 2.12 or newer.
${examples(
  "up",
  "up --advertise hub.example.com --dir /var/lib/spanwire-hub",
  "up --nats-server ./nats-server --metrics-port 9464",
)}`;

const RUN_EXAMPLES = `
The production profile needs a NATS cluster with nats.replicas 3 and sync_interval: always on each server; what a server
does not say is a condition of spanwire status: not verified.
${examples("hub run --config /etc/spanwire/hub.yaml", "hub run --config /etc/spanwire/hub.yaml --profile production")}`;

export function hubCommand(session: Session): Command {
  const run = withHubFlags(new Command("run"))
    .description("run a hub as configured, for example one of several on an external NATS")
    .addHelpText("after", RUN_EXAMPLES)
    .action((flags: HubFlags) => runHub(session, flags));
  return new Command("hub").description("run a hub").addCommand(run);
}

function withHubFlags(command: Command): Command {
  return command
    .option("--config <file>", "YAML file with any of the settings")
    .option("--profile <name>", "development, or production: refuses a NATS that may lose what it acknowledged")
    .option("--dir <folder>", "where keys and state are kept")
    .option("--listen <address>", "the address to bind to (default 0.0.0.0)")
    .option("--advertise <host>", "the name or address that agents and operators use (default 127.0.0.1)")
    .option("--registration-port <n>", "for agents (default 7443)", parsePort)
    .option("--fleet-port <n>", "for operators (default 7444)", parsePort)
    .option("--nats-port <n>", "of the hub's own nats-server (default 4222)", parsePort)
    .option("--metrics-port <n>", "probes and Prometheus metrics; off if not given", parsePort)
    .option("--nats-server <file>", "the nats-server to run (default: the one in PATH)")
    .option("--log-level <level>", "debug, info, warn, error or silent");
}

async function runHub(session: Session, flags: HubFlags): Promise<void> {
  const { run } = await import("@spanwire/hub/main");
  const { config, ...rest } = await loadHub(flags);
  await run(config, {
    ...rest,
    signal: session.signal,
    onReady({ meshId, registrationAddress, fleetAddress, contextFile }) {
      session.note(`mesh ${meshId}: agents join at ${registrationAddress}, operators at ${fleetAddress}\n`);
      session.note(`operator context: ${contextFile}\nnext: spanwire --context ${contextFile} token create CLUSTER\n`);
    },
  });
}

/** Loads hub and its libraries only here: the other commands start without them. */
async function loadHub(flags: HubFlags) {
  const [{ hubConfigSchema }, { loadConfig }, { createLog }] = await Promise.all([
    import("@spanwire/hub/config"),
    import("@spanwire/runtime/config/load-config"),
    import("@spanwire/runtime/log/create-log"),
  ]);
  const { config: file, natsPort, natsServer, ...rest } = flags;
  const config = await loadConfig(hubConfigSchema, {
    file,
    env: process.env,
    envPrefix: "SPANWIRE_HUB_",
    flags: { ...rest, "nats.port": natsPort, "nats.binary": natsServer },
  });
  const log = createLog({ name: "hub", level: config.logLevel });
  return { config, log, searchPath: process.env["PATH"] ?? "" };
}

export function backupCommand(session: Session): Command {
  return new Command("backup")
    .description("write the hub's keys and state to one file; run it where the hub runs")
    .requiredOption("--out <file>", "the file to write, 0600: whoever has it is the mesh")
    .option("--dir <folder>", "the hub's folder", DEFAULT_DIR)
    .option("--without-keys", "of a hub with secrets in Vault or OpenBao: their own backup holds them")
    .addHelpText("after", examples("backup --out mesh.backup"))
    .action(async ({ out: path, dir: folder, withoutKeys }: BackupFlags, command: Command) => {
      const dir = withoutKeys ? undefined : folder;
      const { createBackup } = await import("@spanwire/hub/backup/create-backup");
      const { context } = globalOptions(command);
      const { meshId } = await session.context(context);
      const exported = (await session.fleet(context)).exportState({}, { signal: session.signal });
      const { secrets, entries } = await createBackup({ dir, meshId, exported, path, nowMs: session.now() });
      session.note(`${path}: ${secrets} keys and ${entries} entries of mesh ${meshId}\n`);
    });
}

interface BackupFlags {
  readonly out: string;
  readonly dir: string;
  readonly withoutKeys?: boolean;
}

export function restoreCommand(session: Session): Command {
  return withHubFlags(new Command("restore"))
    .description("bring a backup into an empty folder, and its state into NATS")
    .requiredOption("--from <file>", "the file that `spanwire backup` wrote")
    .addHelpText("after", examples("restore --from mesh.backup --dir /var/lib/spanwire-hub"))
    .action(async ({ from: path, ...flags }: HubFlags & { from: string }) => {
      const { restoreBackup } = await import("@spanwire/hub/backup/restore-backup");
      const { systemClock } = await import("@spanwire/runtime/clock/system-clock");
      const options = await loadHub({ dir: DEFAULT_DIR, ...flags });
      const { signal } = session;
      const { meshId, written } = await restoreBackup({
        path,
        ...options,
        clock: systemClock,
        random: Math.random,
        signal,
      });
      session.note(
        `mesh ${meshId}: ${written} entries restored; start it with: spanwire up --dir ${options.config.dir}\n`,
      );
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port is a number from 0 to 65535");
  return port;
}
