/** @module A world as text, so that one that was seen before is known again. */
import type { EpochView } from "../epoch.ts";
import type { GatewayReport } from "../lead.ts";
import type { Rules } from "./moves.ts";
import type { Gateway, World } from "./world.ts";

/**
 * Worlds with the same print go on alike. What cannot matter any more is left out: a probe or a report of a step that
 * its reader has passed, and of a report all but whom the next step still waits for.
 */
export function createPrinter({ leaving }: Pick<Rules, "leaving">): (world: World) => string {
  // A move changes one gateway, and the others are the same objects as before.
  const prints = new WeakMap<Gateway, string>();
  const printOnce = (gateway: Gateway): string => {
    const print = prints.get(gateway) ?? printGateway(gateway);
    prints.set(gateway, print);
    return print;
  };
  return ({ epoch, statements, reports, gateways, opensLeft, abortsLeft }) => {
    const waited = reports.map((report) => waits(epoch, report, leaving)).join("/");
    const common = [printEpoch(epoch), statements.join("/"), waited, opensLeft, abortsLeft];
    return [...common, ...gateways.map(printOnce)].join("\n");
  };
}

function printGateway({ isAway, epoch, statements, keys, pairs }: Gateway): string {
  const between = pairs.map(({ built, sendsOn, heard, ready }) => {
    const isNews = heard !== undefined && heard.generation >= epoch.generation;
    return `${built}>${sendsOn}<${isNews ? heard.sendsOn : ""}!${ready}`;
  });
  return `${isAway ? "-" : ""}${printEpoch(epoch)} ${statements.join("/")} ${keys} ${between.join(" ")}`;
}

/** Whom the report keeps the leader waiting for, as far as it could stop waiting for them. */
function waits(
  { state, generation }: EpochView,
  report: GatewayReport | undefined,
  leaving: readonly number[],
): string {
  if (report === undefined || report.generation < generation || !report.hasKey) return "*";
  const behind = [...report.behind].filter(([, phase]) => !(state === "open" && phase === "drained"));
  return behind.every(([other]) => leaving.includes(Number(other))) ? behind.map(([other]) => other).join() : "*";
}

function printEpoch({ active, opening, state, generation }: EpochView): string {
  return `${active},${opening ?? ""},${state[0]},${generation}`;
}
