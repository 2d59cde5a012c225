import { putStatement } from "@spanwire/core/desired/testing";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { expect, test } from "vitest";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { Endpoints } from "./endpoints.ts";
import { Reconciler } from "./reconcile.ts";
import { EU, testGateway, US } from "./testing.ts";

const KEY = "AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/** A remote gateway us.0 with these hosts, and a name server that a test may change. */
async function start(hosts: readonly string[], names: Readonly<Record<string, readonly string[]>> = {}) {
  const kernel = new FakeKernel();
  const clock = new FakeClock(1_000_000);
  const server = { names: new Map(Object.entries(names)), asked: 0, woken: 0 };
  const resolve = async (host: string) => {
    server.asked += 1;
    const addresses = server.names.get(host);
    if (addresses === undefined) throw new Error(`queryA ENOTFOUND ${host}`);
    return addresses;
  };
  const reconciler = new Reconciler(kernel, new Endpoints({ resolve, clock, onResolved: () => server.woken++ }));
  const gateway = testGateway({ clusters: [EU, { ...US, gateways: [{ ordinal: 0, hosts }] }] });
  let sent = 0;

  const look = async () => {
    await clock.advance(0);
    const { done, unresolved } = await reconciler.full(() => gateway.compile().desired);
    return { writes: done.filter(({ kind }) => kind === "set-endpoint").map(describeChange), unresolved };
  };
  const used = () => / endpoint (\S+)/.exec(kernel.toString().split(`peer ${KEY}`)[1] ?? "")?.[1];
  await look();
  return {
    kernel,
    server,
    look,
    used,
    /** Another statement of us.0, by the fast path. */
    async say(...next: readonly string[]) {
      putStatement(gateway.map, US, { ordinal: 0, hosts: next });
      const { desired, changed } = gateway.compile();
      const outcome = await reconciler.fast(desired, changed);
      return outcome?.done.map(describeChange);
    },
    /** Looks every 5 s while packets go out and nothing comes back; all that was written. */
    async silence(seconds: number) {
      const written: string[] = [];
      for (let at = 0; at < seconds; at += 5) {
        await clock.advance(5_000);
        kernel.touchPeer("sw-a0", KEY, { txBytes: ++sent * 1_000 });
        written.push(...(await look()).writes);
      }
      return written;
    },
  };
}

const set = (endpoint: string) => `set endpoint ${endpoint} of peer ${KEY} of sw-a0`;

test("a statement with another address is written by the fast path, once", async () => {
  const { say, look, used } = await start(["192.0.2.1"]);
  expect(used()).toBe("192.0.2.1:51820");
  expect(await say("192.0.2.2", "192.0.2.1")).toEqual([]);
  expect(await say("192.0.2.3")).toEqual([set("192.0.2.3:51820")]);
  expect(await look()).toEqual({ writes: [], unresolved: [] });
  expect(used()).toBe("192.0.2.3:51820");
});

test("an endpoint that roamed is left alone, by looks and by an agent that starts again", async () => {
  const { kernel, look, used } = await start(["192.0.2.1"]);
  kernel.touchPeer("sw-a0", KEY, { endpoint: "203.0.113.9:40000", rxBytes: 500, txBytes: 500 });
  expect((await look()).writes).toEqual([]);
  const { reconciler, desired } = restarted(kernel);
  expect((await reconciler.full(() => desired)).done).toEqual([]);
  expect(used()).toBe("203.0.113.9:40000");
});

test("a peer that does not answer is tried at the next address, and round again", async () => {
  const { silence, used } = await start(["192.0.2.1", "2001:db8::1"]);
  expect(await silence(20)).toEqual([set("[2001:db8::1]:51820")]);
  expect(await silence(20)).toEqual([set("192.0.2.1:51820")]);
  expect(used()).toBe("192.0.2.1:51820");
});

test("the only address of a peer that does not answer is not written again and again", async () => {
  const { silence } = await start(["192.0.2.1"]);
  expect(await silence(60)).toEqual([]);
});

test("a name is resolved beside the looks, and written by the next one", async () => {
  const { look, server, used } = await start(["gw.example"], { "gw.example": ["192.0.2.7"] });
  expect(used()).toBe("(none)");
  expect(await look()).toEqual({ writes: [set("192.0.2.7:51820")], unresolved: [] });
  expect(server).toMatchObject({ asked: 1, woken: 1 });
  expect(await look()).toEqual({ writes: [], unresolved: [] });
  expect(server.asked).toBe(1);
});

test("a name that moves heals by itself: after 15 s of silence it is resolved anew", async () => {
  const { look, server, silence, used } = await start(["gw.example"], { "gw.example": ["192.0.2.7"] });
  await look();
  server.names.set("gw.example", ["192.0.2.8"]);
  expect(await silence(25)).toEqual([set("192.0.2.8:51820")]);
  expect(used()).toBe("192.0.2.8:51820");
});

test("of several addresses of a name each is tried in turn", async () => {
  const { look, silence } = await start(["gw.example"], { "gw.example": ["2001:db8::7", "192.0.2.7"] });
  expect((await look()).writes).toEqual([set("[2001:db8::7]:51820")]);
  expect(await silence(25)).toEqual([set("192.0.2.7:51820")]);
});

test("a name without an address is said, and asked for again at each look until it has one", async () => {
  const { look, server } = await start(["gw.example"]);
  expect(await look()).toEqual({ writes: [], unresolved: ["gw.example"] });
  expect(await look()).toEqual({ writes: [], unresolved: ["gw.example"] });
  server.names.set("gw.example", ["192.0.2.7"]);
  await look();
  expect(await look()).toEqual({ writes: [set("192.0.2.7:51820")], unresolved: [] });
});

test("an address inside the mesh is no way to build the tunnel to it", async () => {
  const { look, used } = await start(["gw.example"], { "gw.example": ["10.2.0.5", "198.18.0.64"] });
  expect(await look()).toEqual({ writes: [], unresolved: ["gw.example"] });
  expect(used()).toBe("(none)");
});

test("a peer that came to us while its name was being resolved keeps what it has", async () => {
  const { kernel, look, used } = await start(["gw.example"], { "gw.example": ["192.0.2.7"] });
  kernel.touchPeer("sw-a0", KEY, { endpoint: "203.0.113.9:40000", rxBytes: 500, txBytes: 500 });
  expect(await look()).toEqual({ writes: [], unresolved: [] });
  expect(used()).toBe("203.0.113.9:40000");
});

test("a lane that was made anew gets its endpoints with its peers", async () => {
  const { kernel, look, used } = await start(["192.0.2.1"]);
  kernel.byHand({ kind: "remove-wireguard-link", name: "sw-a0" });
  expect((await look()).writes).toEqual([]);
  expect(used()).toBe("192.0.2.1:51820");
});

function restarted(kernel: FakeKernel) {
  const clock = new FakeClock(2_000_000);
  const gateway = testGateway({ clusters: [EU, { ...US, gateways: [{ ordinal: 0, hosts: ["192.0.2.1"] }] }] });
  const endpoints = new Endpoints({ resolve: async () => [], clock, onResolved: () => {} });
  return { reconciler: new Reconciler(kernel, endpoints), desired: gateway.compile().desired };
}
