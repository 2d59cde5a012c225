/** @module The configuration of the embedded nats-server. Pure. */
import type { OwnOperator } from "./operator.ts";

export interface ServerConfigOptions {
  readonly operator: OwnOperator;
  /** Address and port to listen on; port -1 takes any free one. */
  readonly host: string;
  readonly port: number;
  /** Folder for accounts and JetStream. */
  readonly directory: string;
  /** PEM files; absent leaves clients in plain text, for tests on one machine only. */
  readonly tls: { readonly certificateFile: string; readonly keyFile: string } | undefined;
}

/** Renders the file. The accounts in it are where the server begins; newer ones that were pushed to it stay. */
export function renderServerConfig({ operator, host, port, directory, tls }: ServerConfigOptions): string {
  return [
    "server_name: spanwire",
    `listen: ${quote(`${host}:${port}`)}`,
    `operator: ${operator.operatorJwt}`,
    `system_account: ${operator.systemAccount}`,
    `resolver { type: full, dir: ${quote(`${directory}/accounts`)}, allow_delete: false }`,
    "resolver_preload {",
    `  ${operator.systemAccount}: ${operator.systemAccountJwt}`,
    `  ${operator.meshAccount}: ${operator.meshAccountJwt}`,
    "}",
    // Each acknowledged write is on the disk: the default loses some at a power cut.
    `jetstream { store_dir: ${quote(`${directory}/jetstream`)}, sync_interval: always }`,
    ...(tls === undefined
      ? []
      : [`tls { cert_file: ${quote(tls.certificateFile)}, key_file: ${quote(tls.keyFile)}, min_version: "1.3" }`]),
    "max_payload: 1MB",
    'ping_interval: "10s"',
    "ping_max: 2",
    'write_deadline: "5s"',
    "",
  ].join("\n");
}

/** As a JSON string, which the configuration language reads, too. */
function quote(text: string): string {
  return JSON.stringify(text);
}
