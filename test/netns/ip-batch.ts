/** @module One long-lived `ip -batch` in a namespace: a change costs microseconds, not a process (100 ms in the lab VM). */
import { openDialogue } from "./dialogue.ts";

export interface IpBatch {
  /** Runs the lines in order; throws with what `ip` said when any of them failed (the others are still run). */
  run(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** `options` are those of `ip` itself, such as "-6". */
export function openIpBatch(namespace: string, options: readonly string[]): IpBatch {
  const argv = ["ip", ...options, "-n", namespace];
  const ip = openDialogue([...argv, "-force", "-batch", "-"]);
  let calls = 0;
  return {
    async run(lines) {
      // `ip` is silent when a line succeeds, but always complains of an object it does not know: our full stop.
      const word = `stop${++calls}`;
      const complaint = new RegExp(`Object "${word}" is unknown[^\\n]*\\nCommand failed [^\\n]*\\n`);
      const { said, stop } = await ip.say(`${lines.join("\n")}\n${word}\n`, complaint);
      if (stop !== undefined && said === "") return;
      throw new Error(`${argv.join(" ")}: ${said.trim() || "ended"}\nin: ${lines.join("\n    ")}`);
    },
    close: () => ip.close(),
  };
}
