import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Account, describeAccount, type Meter, startMeter } from "../../../test/meter/meter.ts";
import { type ClearTextWatch, watchClearText } from "../../../test/netns/clear-text.ts";
import { repeats } from "../../../test/netns/config.ts";
import { flowsBetween } from "../../../test/netns/flows.ts";
import { describeChange } from "../kernel/describe.ts";
import { takeDown } from "./down.ts";
import { type DataplaneTrial, startDataplaneTrial, until } from "./netns-trial.ts";
import { observe } from "./observe.ts";

const CLEAN = { lost: 0, duplicated: 0 };
const MOVES = repeats(3);

let trial: DataplaneTrial;
let meter: Meter;
let clear: ClearTextWatch;

beforeAll(async () => {
  trial = await startDataplaneTrial([
    { name: "eu", gateways: 2 },
    { name: "us", gateways: 1 },
  ]);
  const [eu, us] = ["eu", "us"].map((name) => {
    const { namespace, address } = trial.topology.site(name).host;
    return { namespace, address: address.ipv4 };
  });
  if (eu === undefined || us === undefined) throw new Error("no hosts");
  const rate = { count: 8, packetsPerSecond: 30 };
  meter = await startMeter([...flowsBetween(eu, us, rate), ...flowsBetween(us, eu, rate)]);
  clear = await watchClearText(
    trial.topology,
    trial.gateways.map(({ machine }) => machine),
  );
  await until(async () => (await measure("until both ways are open", () => delay(1_000), 0)).lost === 0);
});
afterAll(async () => {
  await meter?.[Symbol.asyncDispose]();
  await trial?.[Symbol.asyncDispose]();
});

async function measure(name: string, action: () => Promise<unknown>, lateMs?: number): Promise<Account> {
  const account = await meter.during(action, lateMs === undefined ? {} : { lateMs });
  process.stderr.write(`${name}: ${describeAccount(account)}\n`);
  return account;
}

test("gateways that this code has built carry the traffic of the hosts behind them, and at rest nothing is written", async () => {
  for (const { writes, outcomes } of trial.gateways) {
    expect(outcomes.flatMap(({ failures }) => failures.map(({ error }) => error.message))).toEqual([]);
    expect(writes.length).toBeGreaterThan(10);
  }
  const before = trial.gateways.map(({ writes }) => writes.length);
  const looks = trial.gateways.map(({ outcomes }) => outcomes.length);
  const account = await measure("control", () =>
    until(() => trial.gateways.every(({ outcomes }, i) => outcomes.length >= (looks[i] ?? 0) + 2)),
  );
  expect(account).toMatchObject(CLEAN);
  expect(trial.gateways.map(({ writes }) => writes.length)).toEqual(before);
  for (const { kernel } of trial.gateways) {
    const peers = [...(await observe(kernel)).devices.values()].flatMap((device) => device.peers);
    expect(peers.length).toBeGreaterThan(0);
    for (const peer of peers) expect(peer.lastHandshakeMs).toBeDefined();
  }
});

test(`${MOVES} prefixes come and go under traffic: nothing is lost, and no peer or route is made anew`, async () => {
  const eu0 = trial.gateway("eu0");
  const from = eu0.writes.length;
  const account = await measure("prefixes", async () => {
    for (let move = 0; move < MOVES; move++) {
      for (const prefixes of [["10.77.0.0/24", "10.78.0.0/24"], []]) {
        trial.putSite("us", prefixes);
        const seen = trial.gateways.map(({ outcomes }) => outcomes.length);
        for (const gateway of trial.gateways) gateway.want();
        await until(() => trial.gateways.every(({ outcomes }, i) => outcomes.length > (seen[i] ?? 0)));
      }
    }
  });
  expect(account).toMatchObject(CLEAN);
  const kinds = eu0.writes.slice(from).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "add-allowed-ips")).toHaveLength(MOVES);
  expect(kinds.filter((kind) => kind === "remove-allowed-ips")).toHaveLength(MOVES);
  expect(new Set(kinds)).toEqual(
    new Set(["replace-firewall", "replace-route", "remove-route", "add-allowed-ips", "remove-allowed-ips"]),
  );
});

test("agents that start again adopt what is there: no write, nothing lost", async () => {
  const account = await measure("restarts", async () => {
    for (const gateway of trial.gateways) {
      await gateway.stop();
      await gateway.start();
    }
  });
  expect(account).toMatchObject(CLEAN);
  for (const { writes } of trial.gateways) expect(writes.map(describeChange)).toEqual([]);
});

test("a lane whose UDP port is taken is said, and had as soon as the port is free", async () => {
  const us0 = trial.gateway("us0");
  const { namespace } = us0.machine;
  await us0.stop();
  await namespace.ip("link del sw-a1", "link add thief type wireguard");
  await namespace.sh("wg set thief listen-port 51822 && ip link set thief up");
  await us0.start();
  expect(us0.outcomes[0]?.failures.map(({ error }) => error.reason)).toContain("EADDRINUSE");
  await namespace.ip("link del thief");
  await until(() => us0.outcomes.at(-1)?.failures.length === 0);
  await until(async () => (await measure("with the port free again", () => delay(1_000), 0)).lost === 0);
  expect(await clear.count()).toEqual({ ipv4: 0, ipv6: 0 });
});

test("down takes away everything of ours and nothing else, and the guard last", async () => {
  const eu1 = trial.gateway("eu1");
  const { namespace } = eu1.machine;
  await eu1.stop();
  await namespace.ip("link add other0 type dummy", "rule add fwmark 7 lookup 100 priority 5181");
  const { done, failures } = await takeDown(eu1.kernel);
  expect(failures.map(({ error }) => error.message)).toEqual([]);
  expect(done.at(-1)).toEqual({ kind: "remove-firewall" });
  expect(await namespace.sh("ip -o link; ip rule; ip -6 rule; ip nexthop; nft list tables")).not.toMatch(
    /sw-|sw0|5180|spanwire|id 518/,
  );
  expect(await namespace.sh("ip -o link; ip rule")).toMatch(/other0[\s\S]*lookup 100/);
  expect(await takeDown(eu1.kernel)).toEqual({ done: [], failures: [] });
});

test("positive control: without an agent, without lanes, guard and blackholes, packets do leave in clear", async () => {
  await delay(1_000);
  const { ipv4 } = await clear.count();
  expect(ipv4).toBeGreaterThan(0);
});
