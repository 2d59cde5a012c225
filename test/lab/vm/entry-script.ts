/** @module The shell script that becomes the guest's first process. */
import { join } from "node:path";

import type { LabConfig } from "../config.ts";
import { CHECKOUT, type VmRun } from "./run.ts";

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Returns the script: set the stage, run the command, hand over its status, end the machine.
 *
 * Output passes through a pipe to the port, because Node takes a bare character device for no output at all. The pipes
 * close when the last process of the command is gone; a daemon it leaves behind may not hold the VM up for ever.
 */
export function entryScript(config: LabConfig, run: VmRun): string {
  const env = {
    HOME: "/root",
    TERM: "dumb",
    LANG: "C.UTF-8",
    ...config.inherited,
    PATH: `${join(CHECKOUT, "node_modules/.bin")}:${SYSTEM_PATH}`,
    ...run.env,
  };
  return `
${Object.entries(env)
  .map(([name, value]) => `export ${name}=${quote(value)}`)
  .join("\n")}
ip link set lo up
echo 20000 > /proc/sys/net/core/netdev_max_backlog
echo 67108864 > /proc/sys/net/core/rmem_max
echo 67108864 > /proc/sys/net/core/wmem_max
echo 0 > /proc/sys/net/core/message_cost
set -- /dev/vport*p1 /dev/vport*p2 /dev/vport*p3
mkfifo /run/stdout /run/stderr
cat /run/stdout > "$1" & out=$!
cat /run/stderr > "$2" & err=$!
cd ${quote(run.cwd ?? process.cwd())} || exit
( exec ${run.command.map(quote).join(" ")} ) > /run/stdout 2> /run/stderr < /dev/null
status=$?
( sleep 5; kill $out $err ) 2> /dev/null &
wait $out $err
sync
echo $status > "$3"
echo b > /proc/sysrq-trigger
sleep 60
`;
}

/** Quotes a word for sh. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
