/** @module `spanwire link`: which clusters are linked, and what may cross. */
import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import {
  GetLinkPolicyResponseSchema,
  type SetLinkPolicyResponse,
  SetLinkPolicyResponseSchema,
} from "@spanwire/proto/fleet";
import {
  type Allow,
  DefaultLinks,
  type Link,
  type LinkPolicy,
  LinkPolicySchema,
  LinkSchema,
  type SelectorSchema,
} from "@spanwire/proto/record";
import { Command, InvalidArgumentError, Option } from "commander";
import { formatAllow, parseAllow } from "../allow.ts";
import { examples } from "../examples.ts";
import type { FleetClient } from "../fleet.ts";
import { globalOptions } from "../global-options.ts";
import { render } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";

export function linkCommand(session: Session): Command {
  return new Command("link")
    .description("list and set which clusters are linked")
    .addCommand(listCommand(session))
    .addCommand(setCommand(session))
    .addCommand(removeCommand(session));
}

function listCommand(session: Session): Command {
  return new Command("list")
    .description("list the link policy")
    .addHelpText("after", examples("link list", "link list -o yaml"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const found = await (await session.fleet(context)).getLinkPolicy({}, callOptions(session));
      session.out(render(output, GetLinkPolicyResponseSchema, found, () => policyText(found.policy)));
    });
}

interface SetOptions {
  readonly left?: Selector;
  readonly right?: Selector;
  readonly allow: readonly Allow[];
  readonly transit?: string;
  readonly deny?: boolean;
  readonly default?: "full-mesh" | "none";
  readonly dryRun?: boolean;
}

type Selector = MessageInitShape<typeof SelectorSchema>;

function setCommand(session: Session): Command {
  return new Command("set")
    .description("add or replace one link, or the default for pairs that no link names")
    .argument("[name]", "name of the link")
    .option("--left <selector>", 'clusters on one side: "eu,us", "label:role=hub" or "*"', parseSelector)
    .option("--right <selector>", "clusters on the other side", parseSelector)
    .option("--allow <rule>", "what may be opened (repeatable); everything if not given", collectAllow, [])
    .option("--transit <cluster>", "the cluster that carries the traffic")
    .option("--deny", "the pair is not linked")
    .addOption(new Option("--default <links>", "for pairs that no link names").choices(["full-mesh", "none"]))
    .option("--dry-run", "only show which pairs would change")
    .addHelpText("after", EXAMPLES)
    .action(async (name: string | undefined, options: SetOptions, command: Command) => {
      const link = name === undefined ? undefined : toLink(name, options, command);
      if (link === undefined && options.default === undefined) command.error("error: name a link or give --default");
      await changePolicy(session, command, options.dryRun === true, (policy) => {
        if (options.default !== undefined) policy.defaultLinks = DEFAULTS[options.default];
        if (link === undefined) return;
        const at = policy.links.findIndex((each) => each.name === name);
        if (at < 0) policy.links.push(link);
        else policy.links[at] = link;
      });
    });
}

const DEFAULTS = { "full-mesh": DefaultLinks.FULL_MESH, none: DefaultLinks.NONE } as const;

const EXAMPLES = `
The first link that matches a pair decides. An allow rule reads
  [left->right | right->left | both] PROTOCOL [PORTS] [from PREFIX,...] [to PREFIX,...]
${examples(
  "link set --default none",
  'link set hub --left label:role=hub --right "*"',
  'link set shop --left eu --right us --allow "left->right tcp 443,8443 to 10.2.0.0/24" --dry-run',
  "link set far --left eu --right plant --transit us",
)}`;

function removeCommand(session: Session): Command {
  return new Command("remove")
    .description("remove one link; its pairs fall to the next that matches, or the default")
    .argument("<name>", "name of the link")
    .option("--dry-run", "only show which pairs would change")
    .addHelpText("after", examples("link remove shop --dry-run", "link remove shop"))
    .action(async (name: string, { dryRun }: { dryRun?: boolean }, command: Command) => {
      await changePolicy(session, command, dryRun === true, (policy) => {
        const rest = policy.links.filter((link) => link.name !== name);
        if (rest.length === policy.links.length) {
          throw new SpanwireError("not-found", `remove link: there is no link "${name}"; see: spanwire link list`);
        }
        policy.links = rest;
      });
    });
}

/** Reads the policy, changes it and writes it back, unless somebody else has written in between. */
async function changePolicy(
  session: Session,
  command: Command,
  dryRun: boolean,
  change: (policy: LinkPolicy) => void,
): Promise<void> {
  const { context, output } = globalOptions(command);
  const fleet: FleetClient = await session.fleet(context);
  const current = await fleet.getLinkPolicy({}, callOptions(session));
  const policy = current.policy === undefined ? create(LinkPolicySchema) : clone(LinkPolicySchema, current.policy);
  change(policy);
  const request = { policy, expectedGeneration: current.generation, dryRun };
  const changed = await fleet.setLinkPolicy(request, callOptions(session));
  session.out(render(output, SetLinkPolicyResponseSchema, changed, () => changesText(changed, dryRun)));
}

function changesText({ changes, generation }: SetLinkPolicyResponse, dryRun: boolean): string {
  const table = formatTable(
    changes,
    [
      { title: "pair", value: ({ left, right }) => `${left}~${right}` },
      { title: "before", value: ({ before }) => before },
      { title: "after", value: ({ after }) => after },
    ],
    { empty: "no pair changes" },
  );
  return dryRun ? `${table}nothing was written\n` : `${table}policy ${generation}\n`;
}

function policyText(policy: LinkPolicy | undefined): string {
  if (policy === undefined) return "no link policy\n";
  const fallback = policy.defaultLinks === DefaultLinks.FULL_MESH ? "linked, everything may cross" : "not linked";
  const table = formatTable(
    policy.links,
    [
      { title: "link", value: ({ name }) => name },
      { title: "left", value: ({ left }) => selectorText(left) },
      { title: "right", value: ({ right }) => selectorText(right) },
      { title: "may cross", value: mayCross },
    ],
    { empty: "no links are named" },
  );
  return `${table}every other pair: ${fallback}\n`;
}

function mayCross({ deny, allow, transit }: Link): string {
  if (deny) return "nothing";
  const what = allow.length === 0 ? "everything" : allow.map(formatAllow).join("; ");
  return transit === "" ? what : `${what} (by way of ${transit})`;
}

function toLink(name: string, { left, right, allow, transit = "", deny = false }: SetOptions, command: Command): Link {
  if (left === undefined || right === undefined) return command.error("error: a link needs --left and --right");
  return create(LinkSchema, { name, left, right, allow: [...allow], transit, deny });
}

function collectAllow(text: string, before: readonly Allow[]): readonly Allow[] {
  return [...before, parseAllow(text)];
}

function parseSelector(text: string): Selector {
  if (text === "*") return {};
  const labels = /^label:(.+)$/.exec(text)?.[1];
  if (labels === undefined) return { clusters: text.split(",") };
  const pairs = labels.split(",").map((pair) => pair.split("="));
  if (pairs.some((pair) => pair.length !== 2))
    throw new InvalidArgumentError('write labels as in "label:role=hub,zone=a"');
  return { labels: Object.fromEntries(pairs) };
}

function selectorText(selector: Link["left"]): string {
  if (selector === undefined) return "";
  const labels = Object.entries(selector.labels).map(([name, value]) => `${name}=${value}`);
  if (selector.clusters.length === 0 && labels.length === 0) return "*";
  return [...selector.clusters, ...(labels.length > 0 ? [`label:${labels.join(",")}`] : [])].join(",");
}
