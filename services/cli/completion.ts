/** @module Shell completion: the scripts ask the program itself, so that they never fall behind it. */
import type { Command } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The hidden command that the scripts call with the words typed so far. */
export const COMPLETE_COMMAND = "__complete";

/** Lists what may stand in place of the last word, which may be empty. */
export function completeWords(program: Command, words: readonly string[]): string[] {
  const typed = words.at(-1) ?? "";
  let command = program;
  for (const word of words.slice(0, -1)) {
    command = command.commands.find((each) => each.name() === word) ?? command;
  }
  const candidates = typed.startsWith("-")
    ? command.options.filter((option) => !option.hidden).map((option) => option.long ?? option.short ?? "")
    : command.commands.map((each) => each.name()).filter((name) => name !== COMPLETE_COMMAND);
  return candidates.filter((candidate) => candidate.startsWith(typed)).sort();
}

/** The script to source in the shell's start-up file. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return `_spanwire() { mapfile -t COMPREPLY < <(spanwire ${COMPLETE_COMMAND} -- "\${COMP_WORDS[@]:1:COMP_CWORD}"); }
complete -o default -F _spanwire spanwire
`;
    case "zsh":
      return `#compdef spanwire
_spanwire() { compadd -- \${(f)"$(spanwire ${COMPLETE_COMMAND} -- "\${words[@]:1:$((CURRENT - 1))}")"} }
compdef _spanwire spanwire
`;
    case "fish":
      return `complete -c spanwire -a '(spanwire ${COMPLETE_COMMAND} -- (commandline -opc)[2..] (commandline -ct))'
`;
    default:
      return shell satisfies never;
  }
}
