/** @module `spanwire gateway`: one gateway of a cluster. */
import { SetDrainingResponseSchema } from "@spanwire/proto/fleet";
import { Command } from "commander";
import { examples } from "../examples.ts";
import { type GatewayName, parseGateway } from "../gateway-name.ts";
import { globalOptions } from "../global-options.ts";
import { render } from "../output/render.ts";
import { callOptions, type Session } from "../session.ts";

export function gatewayCommand(session: Session): Command {
  return new Command("gateway")
    .description("take a gateway out of use, and back")
    .addCommand(
      drainingCommand(session, {
        name: "drain",
        description: "move traffic to the cluster's other gateways, without losing a packet",
        draining: true,
      }),
    )
    .addCommand(
      drainingCommand(session, { name: "resume", description: "let a gateway carry traffic again", draining: false }),
    );
}

interface Draining {
  readonly name: string;
  readonly description: string;
  readonly draining: boolean;
}

function drainingCommand(session: Session, { name, description, draining }: Draining): Command {
  return new Command(name)
    .description(description)
    .argument("<gateway>", 'cluster and ordinal, as in "eu/1"', parseGateway)
    .addHelpText("after", examples(`gateway ${name} eu/1`))
    .action(async (gateway: GatewayName, _options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      const changed = await fleet.setDraining({ ...gateway, draining }, callOptions(session));
      const others = changed.cluster?.gateways.filter(({ ordinal }) => ordinal !== gateway.ordinal) ?? [];
      const said = `gateway ${gateway.clusterId}/${gateway.ordinal} ${draining ? "drains" : "serves"}`;
      const alone = draining && others.length === 0 ? ": its cluster has no other, so it goes on carrying" : "";
      session.out(render(output, SetDrainingResponseSchema, changed, () => `${said}${alone}\n`));
    });
}
