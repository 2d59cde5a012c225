/** @module The demo itself, to be run where its dataplane is: builds the topology, tells the story, prints the table. */
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatTable } from "@spanwire/cli/output/table";
import { enterForGood } from "../netns/enter-for-good.ts";
import { createTopology } from "../netns/topology.ts";
import { type Dataplane, DemoMesh } from "./demo-mesh.ts";
import { howToLookAround, KEPT } from "./kept.ts";
import { type Findings, SITES, tellStory } from "./story.ts";

const { values } = parseArgs({
  options: {
    dataplane: { type: "string", default: "kernel" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    spanwire: {
      type: "string",
      default: join(import.meta.dirname, "../../services/cli/dist/lib/spanwire/spanwire.mjs"),
    },
  },
});
const dataplane = values.dataplane as Dataplane;
const findings: Findings = {
  clusters: 0,
  links: 0,
  pingLoss: 0,
  outageLoss: 0,
  controlLoss: 0,
  revokedEverywhereMs: 0,
  rotationLoss: 0,
  rotationControlLoss: 0,
};
const started = performance.now();
const rows: { step: string; seconds: string; found: string }[] = [];
let held = true;

const directory = await mkdtemp(join(tmpdir(), "spanwire-demo-"));
{
  await using world = new AsyncDisposableStack();
  const topology = await createTopology({
    sites: [...SITES],
    machines: ["hub"],
    ...(values.keep ? { kept: KEPT } : {}),
  });
  if (!values.keep) world.use(topology);
  const hub = topology.machine("hub");
  // From here on this process is the operator's laptop beside the hub: its connections come from there.
  enterForGood(hub.namespace);
  const mesh = world.use(new DemoMesh({ spanwire: values.spanwire, hub, directory, dataplane, keep: values.keep }));

  for (const { name, run } of tellStory(topology, mesh, findings)) {
    const begun = performance.now();
    const found = await run().catch((error: Error) => {
      held = false;
      return `FAILED: ${error.message}${error.cause === undefined ? "" : `: ${String(error.cause)}`}`;
    });
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    process.stdout.write(`${seconds.padStart(6)} s  ${name}: ${found}\n`);
    rows.push({ step: name, seconds, found });
    if (!held) break;
  }
  if (values.keep) process.stdout.write(howToLookAround(directory));
}
if (held && !values.keep) await rm(directory, { recursive: true, force: true });
else process.stdout.write(`logs and state: ${directory}\n`);

const columns = [
  { title: "step", value: (row: (typeof rows)[number]) => row.step },
  { title: "seconds", value: (row: (typeof rows)[number]) => row.seconds },
  { title: "found", value: (row: (typeof rows)[number]) => row.found },
];
process.stdout.write(`\n${formatTable(rows, columns, { empty: "nothing was shown" })}\n`);
const seconds = Math.round((performance.now() - started) / 1000);
process.stdout.write(
  held
    ? `Every step held, in ${seconds} s. Next: README.md, "First real use, on two machines".\n`
    : `A step FAILED after ${seconds} s; the steps after it were not tried.\n`,
);
if (values.json) {
  process.stdout.write(`${JSON.stringify({ dataplane, kernel: release(), ...findings, seconds })}\n`);
}
process.exit(held ? 0 : 1);
