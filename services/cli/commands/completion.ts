/** @module `spanwire completion`: scripts for shells. */
import { Argument, Command } from "commander";
import { COMPLETE_COMMAND, completeWords, completionScript, SHELLS, type Shell } from "../completion.ts";
import { examples } from "../examples.ts";
import type { Session } from "../session.ts";

export function completionCommand(session: Session): Command {
  return new Command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(SHELLS))
    .addHelpText(
      "after",
      examples(
        "completion bash > /etc/bash_completion.d/spanwire",
        "completion zsh > /usr/local/share/zsh/site-functions/_spanwire",
        "completion fish > ~/.config/fish/completions/spanwire.fish",
      ),
    )
    .action((shell: Shell) => session.out(completionScript(shell)));
}

/** What the scripts call; `program` is the whole tree of commands. */
export function completeCommand(session: Session, program: Command): Command {
  return new Command(COMPLETE_COMMAND)
    .argument("[words...]")
    .allowUnknownOption()
    .action((words: string[]) =>
      session.out(
        completeWords(program, words)
          .map((word) => `${word}\n`)
          .join(""),
      ),
    );
}
