/**
 * @module A second site on a systemd host, so that there is a peer: joins over a fake kernel, is known to all, and ends.
 * Prints a join token for the first.
 */
import { openFleet } from "@spanwire/cli/fleet";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { eventually } from "../demo/eventually.ts";
import { joinMember } from "../integration/member.ts";

const CALL = { timeoutMs: 60_000 };
const SITE = { clusterId: "us", prefixes: ["10.2.0.0/16"], endpoint: "192.0.2.20" };

using fleet = openFleet(await readOperatorContext(process.argv[2] ?? ""));
// It has made its keys and its store a moment ago; where all is emulated it may be a while until it answers.
await eventually("the hub answers", () => fleet.client.getVersion({}, CALL), { timeoutMs: 180_000, intervalMs: 1_000 });
await using _ = await joinMember({ fleet: async () => fleet.client }, SITE);
await eventually("its statement is with the hub", async () => {
  const { cluster } = await fleet.client.getCluster({ id: SITE.clusterId }, CALL);
  return cluster?.gateways[0]?.statement !== undefined;
});
const { token } = await fleet.client.createToken({ clusterId: "eu" }, CALL);
process.stdout.write(`${token}\n`);
