/** @module `spanwire rotate` and `spanwire rotation`: new WireGuard keys everywhere, without a lost packet. */
import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { SpanwireError } from "@spanwire/core/errors";
import { PairPhase } from "@spanwire/proto/agent";
import {
  AbortRotationResponseSchema,
  type GetRotationResponse,
  GetRotationResponseSchema,
  type Laggard,
  type PastRotation,
  RotateResponseSchema,
} from "@spanwire/proto/fleet";
import { EpochState, EpochStateSchema } from "@spanwire/proto/record";
import { Command } from "commander";
import { examples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import type { FleetClient } from "../fleet.ts";
import { type GatewayName, parseGateway } from "../gateway-name.ts";
import { globalOptions } from "../global-options.ts";
import { formatAgo } from "../output/ago.ts";
import { enumName } from "../output/enum-name.ts";
import { render } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";

const LOOK_MS = 500;

interface RotateOptions {
  readonly wait?: boolean;
  readonly emergency?: GatewayName;
}

export function rotateCommand(session: Session): Command {
  return new Command("rotate")
    .description("give every gateway a new WireGuard key, without losing a packet")
    .option("--wait", "show the progress until it has ended; fails where it was turned back")
    .option("--emergency <gateway>", 'first end a gateway whose keys are in wrong hands, as in "eu/1"', parseGateway)
    .addHelpText("after", examples("rotate", "rotate --wait", "rotate --emergency eu/1 --wait"))
    .action(async ({ wait, emergency }: RotateOptions, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      if (emergency !== undefined) {
        const reason = "its keys are in wrong hands";
        await fleet.revokeGateway({ ...emergency, reason }, callOptions(session));
        session.note(`ended gateway ${emergency.clusterId}/${emergency.ordinal}\n`);
      }
      const asked = await fleet.rotate({}, callOptions(session));
      const text = () =>
        `rotation ${asked.request} ${asked.queued ? "begins when the one that runs has ended" : "asked"}\n`;
      session.out(render(output, RotateResponseSchema, asked, text));
      if (wait === true) await follow(session, fleet, asked.request);
    });
}

export function rotationCommand(session: Session): Command {
  return new Command("rotation")
    .description("follow a rotation, turn it back, list those before it")
    .addCommand(statusCommand(session))
    .addCommand(historyCommand(session))
    .addCommand(abortCommand(session));
}

function statusCommand(session: Session): Command {
  return new Command("status")
    .description("show how far the rotation is and whom it waits for")
    .addHelpText("after", examples("rotation status", "rotation status -o json"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const found = await (await session.fleet(context)).getRotation({}, callOptions(session));
      session.out(render(output, GetRotationResponseSchema, found, () => statusText(found, session.now())));
    });
}

function historyCommand(session: Session): Command {
  return new Command("history")
    .description("list the rotations, the newest first")
    .addHelpText("after", examples("rotation history"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const found = await (await session.fleet(context)).getRotation({}, callOptions(session));
      session.out(render(output, GetRotationResponseSchema, found, () => historyTable(found.history, session.now())));
    });
}

function abortCommand(session: Session): Command {
  return new Command("abort")
    .description("turn back a rotation that is open: all go on with the former keys, the new ones are destroyed")
    .addHelpText("after", examples("rotation abort"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const asked = await (await session.fleet(context)).abortRotation({}, callOptions(session));
      session.out(render(output, AbortRotationResponseSchema, asked, () => "the rotation is being turned back\n"));
    });
}

/** Tells each change of the progress until the rotation that obeys the request has ended; a hub that is away is waited for. */
async function follow(session: Session, fleet: FleetClient, request: string): Promise<void> {
  let told = "";
  for (;;) {
    const found = await look(session, fleet);
    const past = found?.history.find((each) => each.request === request);
    if (past?.endedAt !== undefined) {
      session.note(`${pastText(past)}\n`);
      if (past.aborted) session.exitWith(EXIT.failed);
      return;
    }
    const text = found === undefined ? "the hub is away; still waiting\n" : progressText(found);
    if (text !== told) session.note(text);
    told = text;
    await delay(LOOK_MS, undefined, { signal: session.signal });
  }
}

async function look(session: Session, fleet: FleetClient): Promise<GetRotationResponse | undefined> {
  try {
    return await fleet.getRotation({}, callOptions(session));
  } catch (error) {
    if (error instanceof SpanwireError && error.retryable && !session.signal.aborted) return undefined;
    throw error;
  }
}

function statusText(found: GetRotationResponse, nowMs: number): string {
  const { queued, since } = found;
  const waiting = queued === "" ? "" : `rotation ${queued} is asked for\n`;
  return `${progressText(found)}since ${formatAgo(since, nowMs)}\n${waiting}`;
}

function progressText({ epoch, phases, laggards }: GetRotationResponse): string {
  if (epoch === undefined) return "";
  const isRunning = epoch.state === EpochState.OPEN || epoch.state === EpochState.CLOSING;
  const state = enumName(EpochStateSchema, epoch.state);
  const heading = isRunning ? `epoch ${epoch.active} -> ${epoch.opening}, ${state}` : `epoch ${epoch.active}, ${state}`;
  const counted = (phase: PairPhase) => phases.reduce((sum, each) => sum + (each.phase >= phase ? each.pairs : 0), 0);
  const all = counted(PairPhase.WAITING);
  const steps = [
    ["ready", PairPhase.READY],
    ["flipped", PairPhase.FLIPPED],
    ["drained", PairPhase.DRAINED],
    ["done", PairPhase.DONE],
  ] as const;
  const bars = steps.map(([name, phase]) => `${name} ${bar(counted(phase), all)} ${counted(phase)}/${all}`);
  const lines = isRunning && all > 0 ? bars : [];
  return `${[heading, ...lines, ...laggards.map(laggardText)].join("\n")}\n`;
}

const BAR_LENGTH = 20;

function bar(part: number, whole: number): string {
  const full = Math.floor((BAR_LENGTH * part) / whole);
  return `[${"#".repeat(full)}${"-".repeat(BAR_LENGTH - full)}]`;
}

function laggardText({ clusterId, ordinal, otherClusterId, otherOrdinal, reason }: Laggard): string {
  const pair = otherClusterId === undefined ? "" : ` with ${otherClusterId}/${otherOrdinal}`;
  return `waits for ${clusterId}/${ordinal}${pair}: ${reason}`;
}

function historyTable(history: readonly PastRotation[], nowMs: number): string {
  return formatTable(
    history,
    [
      { title: "epoch", value: ({ epoch }) => String(epoch) },
      { title: "request", value: ({ request }) => request },
      { title: "opened", value: ({ openedAt }) => formatAgo(openedAt, nowMs) },
      { title: "outcome", value: outcomeText },
    ],
    { empty: "nothing was ever rotated; begin with: spanwire rotate" },
  );
}

function pastText(past: PastRotation): string {
  return `epoch ${past.epoch}: ${outcomeText(past)}`;
}

function outcomeText({ openedAt, closingAt, endedAt, aborted }: PastRotation): string {
  if (endedAt === undefined || openedAt === undefined) return closingAt === undefined ? "open" : "closing";
  const seconds = ((timestampMs(endedAt) - timestampMs(openedAt)) / 1_000).toFixed(1);
  return aborted ? `turned back after ${seconds} s` : `rotated in ${seconds} s`;
}
