/** @module `spanwire plan`: what each gateway would program, from the same pure core that the agents run. */

import { createCompiler } from "@spanwire/core/desired/compile";
import { conditionsOf, flatten } from "@spanwire/core/desired/desired";
import {
  DEFAULT_BASE_PORT,
  DEFAULT_MTU_BYTES,
  DEFAULT_RESILIENT_BUCKETS,
  DEFAULT_ROUTING,
  type LocalFacts,
} from "@spanwire/core/desired/local-facts";
import { printDesired } from "@spanwire/core/desired/print";
import { SpanwireError } from "@spanwire/core/errors";
import { gatewayKey } from "@spanwire/core/records/key";
import { RecordMap } from "@spanwire/core/records/record-map";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { Command } from "commander";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { renderValue } from "../output/render.ts";
import { callOptions, type Session } from "../session.ts";

interface GatewayPlan {
  readonly gateway: string;
  readonly conditions: readonly unknown[];
  readonly state: unknown;
  readonly text: string;
}

export function planCommand(session: Session): Command {
  return new Command("plan")
    .description("show what each gateway would program: devices, peers, routes, firewall")
    .argument("[gateway]", 'one gateway, as in "eu/0", or all gateways of a cluster, as in "eu"')
    .addHelpText("after", EXAMPLES)
    .action(async (gateway: string | undefined, _options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const plans = planGateways(await readMap(session, context), gateway);
      const values = () => plans.map(({ text: _, ...plan }) => plan);
      session.out(renderValue(output, values, () => plans.map(({ text }) => text).join("\n")));
    });
}

const EXAMPLES = `
What only a gateway knows (its local subnets, private keys, measured MTU) is left out or at its default.
${examples("plan", "plan eu/0 | less", "plan eu -o json")}`;

/** Fetches the map and believes only what verifies: the hub's machine may lie. */
async function readMap(session: Session, path: string | undefined): Promise<RecordMap> {
  const { meshId, authorityKey } = await session.context(path);
  const fleet = await session.fleet(path);
  const map = new RecordMap({ meshId, authorityKey, verify: createVerify(), sha256 });
  for await (const { chunk } of fleet.getMap({}, callOptions(session))) {
    for (const { key, record } of chunk?.entries ?? []) {
      const offered = map.offer(key, record);
      if (offered.kind === "refused") session.note(`left out: ${offered.message}\n`);
    }
  }
  return map;
}

function planGateways(map: RecordMap, wanted: string | undefined): readonly GatewayPlan[] {
  const gateways = [...map.admissions.values()].flatMap(({ clusterId, gateways }) =>
    gateways.map(({ ordinal }) => ({ clusterId, ordinal, name: `${clusterId}/${ordinal}` })),
  );
  const chosen = gateways.filter(
    ({ clusterId, name }) => wanted === undefined || wanted === clusterId || wanted === name,
  );
  if (wanted !== undefined && chosen.length === 0) {
    throw new SpanwireError("not-found", `plan: no gateway "${wanted}"; see: spanwire cluster list`);
  }
  return chosen
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ clusterId, ordinal, name }) => planGateway(map, clusterId, ordinal, name));
}

function planGateway(map: RecordMap, clusterId: string, ordinal: number, name: string): GatewayPlan {
  const compiled = createCompiler().compile({
    view: map,
    local: assumedFacts(map, clusterId, ordinal),
    liveness: new Map(),
  });
  if (compiled === undefined)
    throw new SpanwireError("unavailable", "plan: the hub's map lacks mesh, epoch or link policy");
  const { desired } = compiled;
  const text = `# gateway ${name}\n${printDesired(desired)}`;
  return { gateway: name, conditions: conditionsOf(desired), state: flatten(desired), text };
}

/** What the statement says of the gateway's own host; defaults for the rest. */
function assumedFacts(map: RecordMap, clusterId: string, ordinal: number): LocalFacts {
  const statement = map.statements.get(gatewayKey(clusterId, ordinal))?.statement;
  return {
    clusterId,
    ordinal,
    keys: (statement?.keys ?? []).map(({ epoch, publicKey }) => ({
      epoch,
      publicKey: Buffer.from(publicKey).toString("base64"),
    })),
    basePort: statement?.endpoints[0]?.basePort || DEFAULT_BASE_PORT,
    mtuBytes: DEFAULT_MTU_BYTES,
    ipv6: "routed",
    connected: [],
    localRoutes: [],
    defaultRoutes: [],
    loneAddresses: [],
    notForwarding: [],
    ipv6Forwarding: true,
    control: [],
    snat: [],
    resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
    routing: DEFAULT_ROUTING,
  };
}
