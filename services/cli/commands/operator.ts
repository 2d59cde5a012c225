/** @module `spanwire operator`: who may use the hub's API. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CreateOperatorResponseSchema, OperatorRole } from "@spanwire/proto/fleet";
import { writeOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { Command, Option } from "commander";
import { parseDurationSeconds } from "../duration.ts";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { render } from "../output/render.ts";
import { callOptions, type Session } from "../session.ts";

const ROLES = { viewer: OperatorRole.VIEWER, operator: OperatorRole.OPERATOR, admin: OperatorRole.ADMIN } as const;

interface CreateOptions {
  readonly role: keyof typeof ROLES;
  readonly out: string;
  readonly ttl: number;
}

export function operatorCommand(session: Session): Command {
  return new Command("operator")
    .description("give people and programs access to the hub's API")
    .addCommand(createCommand(session));
}

function createCommand(session: Session): Command {
  return new Command("create")
    .description("write a context file for another operator: a key made here, and the hub's certificate of it")
    .argument("<name>", "of the person or program, a DNS label")
    .addOption(new Option("--role <role>", "what it may do").choices(Object.keys(ROLES)).makeOptionMandatory())
    .requiredOption("--out <file>", "the context file to write, 0600: whoever has it is that operator")
    .option("--ttl <duration>", 'how long the certificate is good, as in "30d"', parseDurationSeconds, 30 * 86_400)
    .addHelpText("after", HELP)
    .action(async (name: string, { role, out, ttl }: CreateOptions, command: Command) => {
      const { context: path, output } = globalOptions(command);
      const own = await session.context(path);
      const { createRequestedKey } = await import("@spanwire/hub/authority/requested-key");
      const { publicKeySpki, request, privateKeyPem } = createRequestedKey();
      const key = { publicKey: new Uint8Array(publicKeySpki), certificateRequest: new Uint8Array(request) };
      const wish = { name, role: ROLES[role], ttl: { seconds: BigInt(ttl) }, ...key };
      const created = await (await session.fleet(path)).createOperator(wish, callOptions(session));
      const { certificatePem, expiresAt } = created;
      await writeOperatorContext(out, { ...own, certificatePem, privateKeyPem });
      const until = expiresAt === undefined ? "" : new Date(timestampMs(expiresAt)).toISOString();
      const text = () => `${out}: ${role} "${name}" until ${until}; use it with: spanwire --context ${out} status\n`;
      session.out(render(output, CreateOperatorResponseSchema, created, text));
    });
}

const HELP = `
A viewer looks; an operator changes tokens, clusters, links and revocations; an admin makes operators and backups.
The private key is made here and goes nowhere but into the file.
${examples(
  "operator create alice --role operator --out alice.json",
  "operator create dashboard --role viewer --ttl 365d --out dashboard.json",
)}`;
