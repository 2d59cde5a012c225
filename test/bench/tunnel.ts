/** @module What a link made by Spanwire carries, beside links made by hand in the same kernel. */
import { join } from "node:path";
import { natsServerPath } from "../lab/nats-server.ts";
import { wireguardGoPath } from "../lab/wireguard-go.ts";
import { runSteps } from "../step.ts";
import type { Bench, Row } from "./bench.ts";
import { isEmulated } from "./environment.ts";
import { type Kind, measureTunnel, type Round, type Sample, toMbit } from "./measure-tunnel.ts";
import { seededRandom } from "./seeded-random.ts";
import { median } from "./statistics.ts";
import { judgeRatios } from "./verdict.ts";

const CHECKOUT = join(import.meta.dirname, "../..");

export const tunnel: Bench = {
  name: "tunnel",
  summary: "throughput and round trip of a link made by Spanwire, beside links made by hand",
  options: {
    pairs: { type: "string", default: "20" },
    /** Of one sample. */
    seconds: { type: "string", default: "2" },
    pings: { type: "string", default: "10" },
    /** How many of the rounds measure wireguard-go, too. */
    userspace_pairs: { type: "string", default: "5" },
  },
  needsWireGuard: {
    limitMs: 40 * 60_000,
    async prepare() {
      const build = { name: "build", command: ["node", "services/cli/build.ts"] as const, cwd: CHECKOUT };
      if ((await runSteps([build])).failed.length > 0) throw new Error("the bundle could not be built");
      await natsServerPath();
      await wireguardGoPath();
    },
  },
  async run(options, report) {
    const [pairs = 0, seconds = 0, pings = 0, userspacePairs = 0] = [
      ...[options["pairs"], options["seconds"], options["pings"], options["userspace_pairs"]],
    ].map(Number);
    const spanwire = join(CHECKOUT, "services/cli/dist/lib/spanwire/spanwire.mjs");
    const numbers = { pairs, userspacePairs, ms: seconds * 1_000, pings };
    return rowsOf(await measureTunnel({ spanwire, ...numbers, report }), await isEmulated());
  },
};

const THROUGHPUT = { median: 0.98, low: 0.95 };
const ROUND_TRIP_LIMIT = 1.02;
/** So that the published interval follows from the published figures. */
const SEED = 1;

function rowsOf(rounds: readonly Round[], emulated: boolean): Row[] {
  const info = { control: undefined, target: undefined };
  const speed = (kind: Kind) => toMbit(median(samples(rounds, kind).map(({ bytesPerSecond }) => bytesPerSecond)));
  const time = (kind: Kind) => median(samples(rounds, kind).map(({ roundTripMs }) => roundTripMs));
  const speedRatios = (control: Kind) => ratios(rounds, control, ({ bytesPerSecond }) => bytesPerSecond);
  const ofNft = judgeRatios(speedRatios("nft"), THROUGHPUT, seededRandom(SEED));
  const ofBare = judgeRatios(speedRatios("bare"), THROUGHPUT, seededRandom(SEED));
  const throughput = { value: speed("spanwire"), unit: "Mbit/s", target: undefined };
  const roundTrip = { value: time("spanwire"), unit: "ms", target: undefined };
  return [
    { name: "throughput, control wg with equal nft rules", ...throughput, control: speed("nft") },
    { name: "throughput, control bare wg", ...throughput, control: speed("bare") },
    {
      name: `throughput of wg with equal nft rules, median of ${rounds.length} pairs`,
      ...{ value: ofNft.median, unit: "x", control: undefined, target: ofNft.target },
    },
    { name: "lower end of its 95 % interval", value: ofNft.low, unit: "x", ...info },
    { name: "upper end of its 95 % interval", value: ofNft.high, unit: "x", ...info },
    { name: "throughput of bare wg, median of pairs", value: ofBare.median, unit: "x", ...info },
    { name: "lower end of its 95 % interval", value: ofBare.low, unit: "x", ...info },
    { name: "upper end of its 95 % interval", value: ofBare.high, unit: "x", ...info },
    { name: "round trip, control wg with equal nft rules", ...roundTrip, control: time("nft") },
    {
      name: "round trip of wg with equal nft rules, median of pairs",
      value: median(ratios(rounds, "nft", ({ roundTripMs }) => roundTripMs)),
      unit: "x",
      control: undefined,
      target: emulated ? undefined : { kind: "at-most", limit: ROUND_TRIP_LIMIT },
    },
    { name: "throughput, kernel beside userspace", ...throughput, control: speed("userspace") },
    { name: "round trip, kernel beside userspace", ...roundTrip, control: time("userspace") },
  ];
}

function samples(rounds: readonly Round[], kind: Kind): readonly Sample[] {
  return rounds.flatMap((round) => round[kind] ?? []);
}

/** Of Spanwire to the control, in each round. */
function ratios(rounds: readonly Round[], control: Kind, value: (sample: Sample) => number): readonly number[] {
  return rounds.flatMap((round) => {
    const { spanwire, [control]: other } = round;
    return spanwire === undefined || other === undefined ? [] : [value(spanwire) / value(other)];
  });
}
