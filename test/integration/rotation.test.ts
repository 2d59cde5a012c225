/**
 * Rotations end to end on kernels in memory: real hub, NATS and agents. A witness looks every few milliseconds whether
 * anybody sends what the other cannot take. With packets: `test/netns/rotation.test.ts`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FleetClient } from "@spanwire/cli/fleet";
import { PairPhase } from "@spanwire/proto/agent";
import type { GetRotationResponse } from "@spanwire/proto/fleet";
import { EpochState } from "@spanwire/proto/record";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Gateway, openRotationMesh, type RotationMesh, unsettled } from "./rotation-mesh.ts";
import { runCli } from "./run-cli.ts";

const CALL = { timeoutMs: 60_000 };
const PATIENCE = { timeout: 120_000, interval: 50 };

let mesh: RotationMesh;
let fleet: FleetClient;
beforeAll(async () => {
  mesh = await openRotationMesh();
  fleet = await mesh.hub.fleet();
  for (const [cluster, ordinal] of [
    ["eu", 0],
    ["eu", 1],
    ["us", 0],
  ] as const) {
    await mesh.join(cluster, ordinal);
  }
});
afterAll(() => mesh?.[Symbol.asyncDispose]());
/** Whatever befell the mesh, nobody sent in vain. */
afterEach(() => expect(mesh.losses()).toEqual([]));

async function onEpoch(epoch: bigint): Promise<void> {
  await expect.poll(() => unsettled(mesh, epoch), PATIENCE).toEqual([]);
}

/** A hub that is away is asked again. */
async function ask(): Promise<GetRotationResponse | undefined> {
  return await fleet.getRotation({}, CALL).catch(() => undefined);
}

async function inState(state: EpochState): Promise<void> {
  await expect.poll(async () => (await ask())?.epoch?.state, PATIENCE).toBe(state);
}

/** The rotation that obeyed the request, once it has ended. */
async function ended(request: string) {
  const find = async () =>
    (await ask())?.history.find((past) => past.request === request && past.endedAt !== undefined);
  await expect.poll(find, PATIENCE).toBeDefined();
  return (await find()) ?? expect.fail(request);
}

const spanwire = (...args: readonly string[]) => runCli(args, { context: mesh.hub.contextFile });

async function active(): Promise<bigint> {
  return (await ask())?.epoch?.active ?? expect.fail("no epoch");
}

test("rotate --wait gives every gateway a new key, twice, and then nothing more is written", async () => {
  await onEpoch(0n);
  for (const epoch of [1n, 2n]) {
    const { code, stderr } = await spanwire("rotate", "--wait");
    expect([code, stderr]).toEqual([0, expect.stringMatching(new RegExp(`epoch ${epoch}: rotated in [\\d.]+ s\\n$`))]);
    expect(stderr).toContain(`epoch ${epoch - 1n} -> ${epoch}, open`);
    await onEpoch(epoch);
  }
  const before = mesh.gateways.map(({ kernel }) => kernel.writes);
  const looks = () => mesh.gateways.map(({ agent }) => agent?.agent.state.reconciles ?? 0);
  const looked = looks();
  await expect.poll(() => looks().every((count, at) => count >= (looked[at] ?? 0) + 2), PATIENCE).toBe(true);
  expect(mesh.gateways.map(({ kernel }) => kernel.writes)).toEqual(before);
  const { stdout } = await spanwire("rotation", "history");
  expect(stdout.match(/rotated in/g)).toHaveLength(2);
  expect((await spanwire("rotation", "status")).stdout).toContain("epoch 2, steady");
});

test("who asks twice gets two rotations, one after the other", async () => {
  const first = await fleet.rotate({}, CALL);
  await inState(EpochState.OPEN);
  const second = await fleet.rotate({}, CALL);
  expect([first.queued, second.queued]).toEqual([false, true]);
  const [one, two] = [await ended(first.request), await ended(second.request)];
  expect(two.epoch).toBe(one.epoch + 1n);
  await onEpoch(two.epoch);
});

test("what a kernel refuses elsewhere does not hold a rotation up; a refused flip does, until it is made", async () => {
  const { kernel } = mesh.gateways[0] ?? expect.fail("no gateway");
  const [rule] = (await kernel.network.observe()).rules;
  if (rule === undefined) throw new Error("no rule");
  kernel.refuse = ({ kind }) => (kind === "add-rule" || kind === "replace-nexthop" ? "refused by the test" : undefined);
  kernel.byHand({ kind: "remove-rule", rule });
  const { request } = await fleet.rotate({}, CALL);
  const phases = async () => (await ask())?.phases.map(({ phase }) => phase);
  await expect.poll(phases, PATIENCE).toEqual(expect.arrayContaining([PairPhase.READY, PairPhase.FLIPPED]));
  kernel.refuse = ({ kind }) => (kind === "add-rule" ? "refused by the test" : undefined);
  await onEpoch((await ended(request)).epoch);
  kernel.refuse = () => undefined;
});

test("a gateway that joins in mid-rotation is part of it", async () => {
  const { request } = await fleet.rotate({}, CALL);
  await inState(EpochState.OPEN);
  await mesh.join("plant", 0);
  await onEpoch((await ended(request)).epoch);
});

test("an open rotation is turned back, and its keys are gone; the next one takes another number", async () => {
  const before = await active();
  const [slow] = mesh.gateways;
  if (slow === undefined) throw new Error("no gateway");
  mesh.cut(slow, true); // the pairs of it cannot be ready
  const { request } = await fleet.rotate({}, CALL);
  await expect
    .poll(
      async () => (await ask())?.laggards.find(({ otherClusterId }) => otherClusterId !== undefined)?.reason,
      PATIENCE,
    )
    .toMatch(/^no probe passes both ways on plane [ab]: let UDP \d+ of \S+ and \d+ of \S+ through/);
  expect(await spanwire("rotation", "abort")).toMatchObject({ code: 0 });
  expect(await ended(request)).toMatchObject({ aborted: true });
  mesh.cut(slow, false);
  await onEpoch(before);
  expect(await spanwire("rotation", "abort")).toMatchObject({
    code: 4,
    stderr: expect.stringContaining("none is open"),
  });
  const next = await fleet.rotate({}, CALL);
  expect((await ended(next.request)).epoch).toBe(before + 3n);
  await onEpoch(before + 3n);
});

test("a gateway that is away is waited for no longer than it may be silent, and comes back by itself", async () => {
  const gateway = mesh.gateways.at(-1) ?? expect.fail("no gateway");
  mesh.cut(gateway, true);
  await mesh.stop(gateway);
  const { epoch } = await ended((await fleet.rotate({}, CALL)).request);
  mesh.cut(gateway, false);
  await mesh.start(gateway);
  await onEpoch(epoch);
});

/** Ends hub and NATS at once, as a power cut does. */
async function cutPower(): Promise<void> {
  const pid = Number(await readFile(join(mesh.hub.directory, "nats/nats-server.pid"), "utf8"));
  await mesh.hub.end("SIGKILL");
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it died with its parent
  }
  await startHub();
}

/** One that finds its former NATS just before that dies ends as well, and is started again, as a service manager would. */
async function startHub(): Promise<void> {
  for (let left = 3; ; left--) {
    try {
      await mesh.hub.start();
      fleet = await mesh.hub.fleet();
      return;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

const VICTIMS = {
  "the hub": async () => {
    await mesh.hub.end("SIGKILL");
    await startHub();
  },
  "hub and NATS": cutPower,
  "an agent": async () => restart(mesh.gateways[0]),
  "every agent": async () => {
    for (const gateway of mesh.gateways) await restart(gateway);
  },
};

async function restart(gateway: Gateway | undefined): Promise<void> {
  if (gateway === undefined) throw new Error("no gateway");
  await mesh.stop(gateway);
  await mesh.start(gateway);
}

test.each(Object.entries(VICTIMS))("%s ends in mid-rotation, at each step, and it goes on", async (_, end) => {
  const { request } = await fleet.rotate({}, CALL);
  await inState(EpochState.OPEN);
  await end();
  const isClosing = async () => (await ask())?.epoch?.state === EpochState.CLOSING || (await isOver(request));
  await expect.poll(isClosing, PATIENCE).toBe(true);
  await end();
  await onEpoch((await ended(request)).epoch);
});

async function isOver(request: string): Promise<boolean> {
  return (await ask())?.history.some((past) => past.request === request && past.endedAt !== undefined) ?? false;
}

test("rotate --emergency ends the gateway whose keys are in wrong hands, and gives the others new ones", async () => {
  const gone = mesh.gateways.at(-1) ?? expect.fail("no gateway");
  mesh.forget(gone);
  const { code, stderr } = await spanwire("rotate", "--emergency", `${gone.cluster}/${gone.ordinal}`, "--wait");
  expect([code, stderr]).toEqual([0, expect.stringContaining(`ended gateway ${gone.cluster}/${gone.ordinal}\n`)]);
  await onEpoch(await active());
  for (const { kernel } of mesh.gateways) expect(kernel.toString()).not.toContain(`endpoint ${gone.host}:`);
});

test("control: the witness sees it when a peer is taken away that the other still sends to", async () => {
  const [gateway] = mesh.gateways;
  const lane = (await gateway?.kernel.network.observe())?.links.find(({ name }) => /^sw-[ab]0$/.test(name))?.name ?? "";
  const [peer] = (await gateway?.kernel.wireguard.observe(lane))?.peers ?? [];
  gateway?.kernel.byHand({ kind: "remove-peer", device: lane, publicKey: peer?.publicKey ?? "" });
  await expect.poll(() => mesh.losses(), PATIENCE).not.toEqual([]);
  await onEpoch(await active()); // the agent has put it back
  mesh.losses();
});
