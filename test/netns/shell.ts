/** @module One long-lived shell in a namespace, for programs other than `ip`. */
import { openDialogue } from "./dialogue.ts";

export interface Shell {
  /** Runs the script in a subshell, returns what it wrote to both streams; throws with that when its status is not 0. */
  run(script: string): Promise<string>;
  close(): Promise<void>;
}

/** Opens `sh` behind `enter`. A script with a syntax error ends it. */
export function openShell(enter: readonly string[]): Shell {
  const shell = openDialogue([...enter, "sh"]);
  let calls = 0;
  return {
    async run(script) {
      const call = ++calls;
      const text = `(\n${script}\n) 2>&1 </dev/null\necho "\x01${call} $?"\n`;
      const { said, stop } = await shell.say(text, new RegExp(`\\x01${call} (\\d+)\\n`));
      if (stop?.[1] === "0") return said;
      throw new Error(`${enter.join(" ")}: status ${stop?.[1] ?? "ended"}: ${said.trim()}\nin: ${script}`);
    },
    close: () => shell.close(),
  };
}
