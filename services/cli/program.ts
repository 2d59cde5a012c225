/** @module The tree of commands. */
import { Command } from "commander";
import { agentCommand } from "./commands/agent.ts";
import { auditCommand } from "./commands/audit.ts";
import { clusterCommand } from "./commands/cluster.ts";
import { completeCommand, completionCommand } from "./commands/completion.ts";
import { gatewayCommand } from "./commands/gateway.ts";
import { backupCommand, hubCommand, restoreCommand, upCommand } from "./commands/hub.ts";
import { linkCommand } from "./commands/link.ts";
import { applyCommand, diffCommand, getCommand } from "./commands/mesh-file.ts";
import { operatorCommand } from "./commands/operator.ts";
import { planCommand } from "./commands/plan.ts";
import { rotateCommand, rotationCommand } from "./commands/rotation.ts";
import { statusCommand } from "./commands/status.ts";
import { tokenCommand } from "./commands/token.ts";
import { versionCommand } from "./commands/version.ts";
import { EXIT_HELP } from "./exit-code.ts";
import { addGlobalOptions } from "./global-options.ts";
import type { Session } from "./session.ts";

export function createProgram(session: Session): Command {
  const program = new Command("spanwire")
    .description("links Kubernetes clusters, VMs and on-premises sites over kernel WireGuard")
    .addHelpText("after", EXIT_HELP)
    .showHelpAfterError('(see "spanwire --help")')
    .showSuggestionAfterError();
  addGlobalOptions(program);
  for (const command of [
    upCommand(session),
    hubCommand(session),
    agentCommand(session),
    tokenCommand(session),
    clusterCommand(session),
    gatewayCommand(session),
    linkCommand(session),
    statusCommand(session),
    rotateCommand(session),
    rotationCommand(session),
    planCommand(session),
    getCommand(session),
    diffCommand(session),
    applyCommand(session),
    operatorCommand(session),
    auditCommand(session),
    backupCommand(session),
    restoreCommand(session),
    versionCommand(session),
    completionCommand(session),
  ]) {
    program.addCommand(command);
  }
  return program.addCommand(completeCommand(session, program), { hidden: true });
}
