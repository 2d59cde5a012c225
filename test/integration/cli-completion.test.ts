import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SHELLS, type Shell } from "@spanwire/cli/completion";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readLabConfig } from "../lab/config.ts";
import { execute } from "../lab/execute.ts";
import { ensurePrograms } from "../lab/programs.ts";
import { progressToStderr } from "../lab/progress.ts";
import { runTier } from "../lab/tier.ts";

let bin: string;
beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), "spanwire-completion-"));
  await symlink(join(import.meta.dirname, "../../services/cli/bin/spanwire"), join(bin, "spanwire"));
});
afterAll(() => rm(bin, { recursive: true }));

/** How each shell is asked what may stand at the end of a line; it prints that, among others. */
const ASK: Readonly<Record<Shell, (line: string) => readonly string[]>> = {
  bash: (line) => [
    "bash",
    "--norc",
    "-c",
    `source <(spanwire completion bash)
     complete -p spanwire >/dev/null || exit 1
     COMP_WORDS=(${line.replace(/ $/, ' ""')}) COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
     _spanwire; printf '%s\\n' "\${COMPREPLY[@]}"`,
  ],
  fish: (line) => ["fish", "--no-config", "-c", `spanwire completion fish | source; complete -C "${line}"`],
  // Only a line editor completes: one in a terminal of its own gets the line and a tab, and is asked for the candidates.
  zsh: (line) => [
    "zsh",
    "-f",
    "-c",
    `zmodload zsh/zpty; zpty z zsh -f -i
     zpty -w z "PROMPT= TERM=dumb; autoload -Uz compinit; compinit -u -D; source <(spanwire completion zsh); bindkey '^I' list-choices; print READY"
     zpty -r -m z seen '*READY*READY*'
     zpty -w -n z "${line}"$'\\t'
     zpty -w -n z $'\\C-e # DONE\\n'
     zpty -r -m z seen '*DONE*'; print -r -- $seen; zpty -d z`,
  ],
};

test.each(SHELLS)("%s completes commands, options and choices", async (shell) => {
  const outcome = await runTier(`completion in ${shell}`, async () => {
    await ensurePrograms([shell], readLabConfig(), progressToStderr());
  });
  if (outcome.kind === "skipped") return;
  // Asked again: on a busy machine the tab may come before the line editor.
  const asking = (line: string) => expect.poll(() => ask(shell, line), { interval: 500 });
  await asking("spanwire cluster ").toEqual(expect.arrayContaining(["delete", "list", "revoke", "show"]));
  await asking("spanwire cluster revoke --").toEqual(expect.arrayContaining(["--gateway", "--no-wait"]));
  await asking("spanwire status -o ").toEqual(expect.arrayContaining(["json", "table", "yaml"]));
});

async function ask(shell: Shell, line: string): Promise<readonly string[]> {
  const { status, stdout, stderr } = await execute(ASK[shell](line), {
    env: { PATH: `${bin}:${process.env["PATH"]}` },
  });
  expect(status, stderr).toBe(0);
  return stdout.split(/\s+/);
}
