/** @module Settings of the hub: a YAML file, overruled by SPANWIRE_HUB_… variables, overruled by flags. */
import { LOG_LEVELS } from "@spanwire/runtime/log/create-log";
import { z } from "zod";
import { OPERATOR_ROLES } from "./authority/spiffe-id.ts";
import { checkCron, isTimeZone } from "./planning/schedule.ts";
import { secretsSchema } from "./secrets/secrets-config.ts";

const cron = z.string().check((context) => {
  try {
    checkCron(context.value);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    context.issues.push({ code: "custom", message, input: context.value });
  }
});
const timeZone = z.string().check((context) => {
  if (isTimeZone(context.value)) return;
  const message = `"${context.value}" is no time zone: write one as in "Europe/Berlin"`;
  context.issues.push({ code: "custom", message, input: context.value });
});
const pointer = z.string().startsWith("/");
const port = z.number().int().min(0).max(65_535);

export const hubConfigSchema = z.strictObject({
  /** Everything the hub keeps outside NATS: keys, certificates, the embedded server's store. */
  dir: z.string().min(1),
  /** production refuses a NATS that is known to lose acknowledged writes, and says what it could not find out. */
  profile: z.enum(["development", "production"]).default("development"),
  /** The address that all listeners bind to. */
  listen: z.string().default("0.0.0.0"),
  /** The name or address that agents and operators use; goes into certificates and join tokens. */
  advertise: z.string().min(1).default("127.0.0.1"),
  /** RegistrationService, for agents. 0 takes any free port, which join tokens then name. */
  registrationPort: port.default(7443),
  /** FleetService, for operators. */
  fleetPort: port.default(7444),
  /** Probes and metrics; off if absent. */
  metricsPort: port.optional(),
  logLevel: z.enum(LOG_LEVELS).default("info"),
  /** OTLP collector that traces are sent to, "http://collector:4318"; off if absent. */
  tracesEndpoint: z.url().optional(),
  /** Where the mesh's private keys are. */
  secrets: secretsSchema.prefault({}),
  /** Of calls to RegistrationService from one address; gateways behind one NAT share it. */
  limits: z
    .strictObject({
      callsPerSecond: z.number().positive().default(100),
      callBurst: z.number().int().positive().default(500),
    })
    .prefault({}),
  rotation: z
    .strictObject({
      /** A gateway of which nobody has heard anything for so long is not waited for. */
      absentAfterSeconds: z.number().positive().default(300),
      /** When keys rotate by themselves; absent is when an operator asks. */
      schedule: z
        .strictObject({
          at: z.union([z.strictObject({ everyDays: z.number().positive() }), z.strictObject({ cron })]),
          timeZone: timeZone.default("UTC"),
          blackouts: z.array(z.strictObject({ cron, hours: z.number().positive() })).default([]),
        })
        .optional(),
    })
    .prefault({}),
  operators: z
    .strictObject({
      /** Operators by tokens of a sign-in (OpenID Connect), on a port of their own; off if absent. */
      oidc: z
        .strictObject({
          port: port.default(7445),
          /** Its URL, below which it publishes its discovery; tokens name it as `iss`. */
          issuer: z.url({ protocol: /^https$/ }),
          /** PEM file of the CAs for that URL; absent takes those of the system. */
          caFile: z.string().optional(),
          /** What `aud` must hold. */
          audience: z.string().min(1),
          /** JSON pointer of the claim that the audit log calls them by. */
          nameClaim: pointer.default("/sub"),
          /** Which claims give which role; the greatest counts, and who has none is let in nowhere. */
          roles: z
            .array(z.strictObject({ claim: pointer, value: z.string().min(1), role: z.enum(OPERATOR_ROLES) }))
            .min(1),
        })
        .optional(),
    })
    .prefault({}),
  /** How much of the audit log is kept; older entries are removed, and the log says so. */
  audit: z
    .strictObject({
      maxAgeDays: z.number().positive().default(400),
      maxBytes: z.number().int().min(1_048_576).default(1_073_741_824),
    })
    .prefault({}),
  nats: z
    .strictObject({
      /** URLs of an external NATS; absent runs a nats-server of its own. */
      servers: z.array(z.string()).min(1).optional(),
      /** PEM file of the external servers' CA. */
      caFile: z.string().optional(),
      /** Where somebody else operates that NATS: what the hub needs of one account; absent means with the hub's own keys. */
      account: z
        .strictObject({
          /** Public nkey of the account, "A…". */
          id: z.string(),
          /** Seed of one of the account's signing keys. */
          seedFile: z.string(),
          /** Seed of one of the operator's signing keys: bans are told with it. */
          operatorSeedFile: z.string(),
          /** `.creds` of a user of the system account. */
          systemCredsFile: z.string(),
        })
        .optional(),
      /** The port of the embedded server. */
      port: port.default(4222),
      /** The nats-server to run; absent looks in PATH. */
      binary: z.string().optional(),
      /** Copies of each bucket on an external NATS. */
      replicas: z.number().int().min(1).max(5).optional(),
    })
    .prefault({}),
  mesh: z
    .strictObject({
      /** Chosen when the mesh is made; afterwards absent or the same. */
      id: z.string().optional(),
      overlayIpv4: z.string().optional(),
      overlayIpv6: z.string().optional(),
      maxGateways: z.number().int().min(1).max(16).optional(),
    })
    .prefault({}),
});

export type HubConfig = z.output<typeof hubConfigSchema>;
