/** @module `spanwire diff -f` and `spanwire apply -f`: clusters and links as a file that people review. */
import { readFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import { diffMesh, type MeshDiff } from "@spanwire/core/policy/mesh-diff";
import { type MeshFile, readMeshFile, writeMeshFile } from "@spanwire/core/policy/mesh-file";
import { LinkPolicySchema } from "@spanwire/proto/record";
import { Command } from "commander";
import { parseDocument, stringify } from "yaml";
import { examples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import type { FleetClient } from "../fleet.ts";
import { globalOptions } from "../global-options.ts";
import { type OutputFormat, renderValue } from "../output/render.ts";
import { callOptions, type Session } from "../session.ts";

interface FileOptions {
  readonly file: string;
}

export function diffCommand(session: Session): Command {
  return new Command("diff")
    .description("show what a mesh file would change; the exit code is 5 if anything")
    .requiredOption("-f, --file <file>", "the mesh file, or - for standard input")
    .addHelpText("after", EXAMPLE)
    .action(async ({ file }: FileOptions, command: Command) => {
      const { context, output } = globalOptions(command);
      const { diff } = await compare(session, await session.fleet(context), await readFileOrInput(file));
      session.out(renderDiff(output, diff));
      if (!isEmpty(diff)) session.exitWith(EXIT.differs);
    });
}

export function applyCommand(session: Session): Command {
  return new Command("apply")
    .description("bring the mesh to what a mesh file says; what it does not name stays")
    .requiredOption("-f, --file <file>", "the mesh file, or - for standard input")
    .addHelpText("after", EXAMPLE)
    .action(async ({ file }: FileOptions, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      const { diff, generations, policyGeneration } = await compare(session, fleet, await readFileOrInput(file));
      session.out(renderDiff(output, diff));
      for (const { id, prefixes, labels } of diff.updates) {
        const expectedGeneration = generations.get(id) ?? 0n;
        const update = { id, prefixes: [...prefixes], labels: { ...labels }, expectedGeneration };
        await fleet.updateCluster(update, callOptions(session));
        session.note(`cluster ${id} updated\n`);
      }
      if (diff.policy !== undefined) {
        const request = { policy: diff.policy, expectedGeneration: policyGeneration };
        const { generation } = await fleet.setLinkPolicy(request, callOptions(session));
        session.note(`link policy ${generation} written\n`);
      }
    });
}

/** What `spanwire get` prints is what `apply` reads. */
export function getCommand(session: Session): Command {
  return new Command("get")
    .description("print clusters and links as a mesh file")
    .addHelpText("after", examples("get > mesh.yaml", "get -o json"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const { current } = await readCurrent(session, await session.fleet(context));
      const file = writeMeshFile(current);
      session.out(
        renderValue(
          output,
          () => file,
          () => stringify(file),
        ),
      );
    });
}

const EXAMPLE = `
A mesh file:
  clusters:
    - id: eu
      prefixes: [10.1.0.0/16]
      labels: { role: hub }
  links:
    default: none
    rules:
      - name: shop
        left: { clusters: [eu] }
        right: { clusters: [us] }
        allow:
          - { direction: left-to-right, protocol: tcp, ports: [443] }
${examples("get > mesh.yaml", "diff -f mesh.yaml", "apply -f mesh.yaml")}`;

async function compare(session: Session, fleet: FleetClient, text: string) {
  const file = parseMeshFile(text);
  const { current, ...generations } = await readCurrent(session, fleet);
  return { diff: diffMesh(current, file), ...generations };
}

async function readCurrent(session: Session, fleet: FleetClient) {
  const [{ clusters }, { policy = create(LinkPolicySchema), generation }] = await Promise.all([
    fleet.listClusters({}, callOptions(session)),
    fleet.getLinkPolicy({}, callOptions(session)),
  ]);
  const generations = new Map(clusters.map((cluster) => [cluster.id, cluster.generation]));
  return { current: { clusters, policy }, generations, policyGeneration: generation };
}

function parseMeshFile(text: string): MeshFile {
  const document = parseDocument(text);
  const [wrong] = document.errors;
  if (wrong !== undefined) throw new SpanwireError("invalid", `mesh file: ${wrong.message}`);
  const read = readMeshFile(document.toJS());
  if (read.ok) return read.file;
  const problems = read.problems.map(({ path, message }) => `  ${path}: ${message}`);
  throw new SpanwireError("invalid", `mesh file:\n${problems.join("\n")}`);
}

async function readFileOrInput(path: string): Promise<string> {
  return readFile(path === "-" ? "/dev/stdin" : path, "utf8").catch((cause: Error) => {
    throw new SpanwireError("invalid", `mesh file: ${cause.message}`, { cause });
  });
}

function isEmpty({ updates, policy }: MeshDiff): boolean {
  return updates.length === 0 && policy === undefined;
}

function renderDiff(output: OutputFormat, diff: MeshDiff): string {
  const { updates, pairs, missing, policy } = diff;
  const values = () => ({ updates, links: pairs, missing, policyChanges: policy !== undefined });
  return renderValue(output, values, () => diffText(diff));
}

function diffText(diff: MeshDiff): string {
  const lines = [
    ...diff.updates.flatMap(({ id, differences }) => [`cluster ${id}`, ...differences.map((each) => `  ${each}`)]),
    ...diff.pairs.flatMap(({ left, right, before, after }) => [
      `link ${left}~${right}`,
      `  - ${before}`,
      `  + ${after}`,
    ]),
    ...(diff.policy !== undefined && diff.pairs.length === 0 ? ["link policy: written anew, no pair changes"] : []),
    ...diff.missing.map(
      (id) => `cluster ${id} has not joined: its first gateway brings it (spanwire token create ${id})`,
    ),
  ];
  return lines.length === 0 ? "no differences\n" : `${lines.join("\n")}\n`;
}
