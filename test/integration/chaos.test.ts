/**
 * @module Hub, NATS and agents are killed at random moments, again and again; afterwards everything is as it should be.
 *
 * A run is one to three kills around one change of a mesh that lives through 20 runs; five meshes at a time share
 * the machine. `npm run chaos -- --n 1000` makes more runs, `--seed S --n 20` those of one mesh again: the moments are
 * the same, what the machine makes of them may differ. `--kernel` is the same on a real one (`test/netns/chaos.test.ts`).
 */
import { type expect as assert, test } from "vitest";
import { repeats, seed } from "../netns/config.ts";
import { seededRandom } from "../netns/seeded-random.ts";
import { type ChaosMesh, openChaosMesh } from "./chaos-mesh.ts";
import { describeSteps, planRun } from "./chaos-plan.ts";

const RUNS = repeats(100, { SPANWIRE_N: process.env["SPANWIRE_CHAOS_RUNS"] ?? process.env["SPANWIRE_N"] });
const RUNS_PER_MESH = Math.min(20, RUNS);
/** Most of a run is waiting for timers of the program, in which another mesh can work. */
const MESHES = Math.ceil(RUNS / RUNS_PER_MESH);
const FIRST_SEED = seed();
const RUN_MS = 120_000;
const CONVERGED = { timeout: 120_000, interval: 100 };
/** Looks at the kernel that must pass without a write. */
const LOOKS_AT_REST = 4;

type Expect = typeof assert;

test.concurrent.for(Array.from({ length: MESHES }, (_, mesh) => FIRST_SEED + mesh))(
  `${RUNS_PER_MESH} runs with hub, NATS and agents killed at random moments, SPANWIRE_SEED=%i`,
  { timeout: RUNS_PER_MESH * RUN_MS },
  async (number, { expect }) => {
    await using mesh = await openChaosMesh();
    const random = seededRandom(number);
    for (let run = 1; run <= RUNS_PER_MESH; run++) {
      const steps = planRun(random, mesh.alive().length);
      try {
        await mesh.suffer(steps);
        await mesh.settle();
        await expectWhole(mesh, expect);
      } catch (cause) {
        throw new Error(`run ${run} of seed ${number}:\n${describeSteps(steps)}\n${mesh.explain()}`, { cause });
      }
    }
  },
);

async function expectWhole(mesh: ChaosMesh, expect: Expect): Promise<void> {
  await expect.poll(() => mesh.differences(), CONVERGED).toEqual([]);
  expect(await mesh.admitted()).toEqual(mesh.acknowledged());
  await expectRest(mesh, expect);
  for (const { made } of mesh.alive()) expect([...made].filter(([, times]) => times > 1)).toEqual([]);
  expect(mesh.witness.fallen(await mesh.entries())).toEqual([]);
  expect(mesh.witness.forks).toEqual([]);
}

async function expectRest(mesh: ChaosMesh, expect: Expect): Promise<void> {
  const before = mesh.alive().map(({ kernel }) => kernel.writes);
  const goals = mesh.alive().map(({ reconciles }) => reconciles + LOOKS_AT_REST);
  await expect
    .poll(() => mesh.alive().every(({ reconciles }, at) => reconciles >= (goals[at] ?? 0)), CONVERGED)
    .toBe(true);
  expect(mesh.alive().map(({ kernel }) => kernel.writes)).toEqual(before);
}
