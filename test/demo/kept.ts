/** @module What `--keep` leaves running, how to look around in it, and how it ends. */
import { execute } from "../lab/execute.ts";
import { deleteNamespaces, listNamespaces } from "../netns/namespace.ts";

/** Before the machine's name in the names of its namespace. */
export const KEPT = "demo";

export function howToLookAround(directory: string): string {
  const on = (machine: string) => `ip netns exec ${KEPT}-${machine}`;
  return `
It goes on running. Look around:
  ip netns list
  ${on("hub")} services/cli/bin/spanwire --context ${directory}/hub/context.json status
  ${on("hub")} services/cli/bin/spanwire --context ${directory}/hub/context.json plan eu/0
  ${on("eu0")} ip -brief link
  ${on("eu0")} ip route show table 5180
  ${on("euh")} ping -c 3 10.3.0.100
  less ${directory}/eu0.log
End it:
  npm run demo -- --end && rm -r ${directory}
`;
}

/** Names of the namespaces of a kept demo. */
export async function listKept(): Promise<readonly string[]> {
  return (await listNamespaces()).filter((name) => name.startsWith(`${KEPT}-`));
}

/** Ends the machines of a kept demo and all that runs on them; returns how many there were. */
export async function endKept(): Promise<number> {
  const names = await listKept();
  for (const name of names) await execute(["sh", "-c", `ip netns pids ${name} | xargs -r kill -9`]);
  await deleteNamespaces(names);
  return names.length;
}
