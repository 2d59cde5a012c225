/**
 * @module `npm run lab`: installs what the tests and the demo need, and reports what there is.
 *
 *     npm run lab [-- -o json] [NAME...]
 *
 * Exit status 0 when every component asked for is there; running it again does nothing but report.
 */
import { parseArgs } from "node:util";

import { readLabConfig } from "./config.ts";
import { KUBERNETES_VERSION, kubernetesPaths } from "./kubernetes-binaries.ts";
import { NATS_SERVER_VERSION, natsServerPath } from "./nats-server.ts";
import { OPENBAO_VERSION, openBaoPath } from "./openbao-binary.ts";
import { ensurePrograms, NETWORK_PROGRAMS } from "./programs.ts";
import { progressToStderr } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";
import { ensureVm } from "./vm/image.ts";
import { kernelHasWireGuard, whereWireGuardIs } from "./where-wireguard-is.ts";
import { WIREGUARD_GO_VERSION, wireguardGoPath } from "./wireguard-go.ts";

interface Report {
  readonly component: string;
  readonly have: boolean;
  /** Where and which, or why not and what to do. */
  readonly detail: string;
  readonly seconds: number;
}

const config = readLabConfig();
const progress = progressToStderr();

const COMPONENTS: Readonly<Record<string, () => Promise<string>>> = {
  "network-tools": async () => {
    await ensurePrograms(NETWORK_PROGRAMS, config, progress);
    return NETWORK_PROGRAMS.join(", ");
  },
  "nats-server": async () => `${NATS_SERVER_VERSION}: ${await natsServerPath(config, progress)}`,
  openbao: async () => `${OPENBAO_VERSION}: ${await openBaoPath(config, progress)}`,
  kubernetes: async () => {
    const { apiServer, etcd } = await kubernetesPaths(config, progress);
    return `${KUBERNETES_VERSION}: ${apiServer}, ${etcd}`;
  },
  "wireguard-go": async () => `${WIREGUARD_GO_VERSION}: ${await wireguardGoPath(config, progress)}`,
  "kernel-wireguard": async () => {
    if (await kernelHasWireGuard()) return `the running ${await whereWireGuardIs()}`;
    const image = await ensureVm(config, progress);
    return `VM with ${image.release}: ${image.kernel}`;
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output: { type: "string", short: "o", default: "table" } },
});
const unknown = positionals.filter((name) => COMPONENTS[name] === undefined);
if (unknown.length > 0) {
  throw new Error(`unknown component ${unknown.join(", ")}; there are: ${Object.keys(COMPONENTS).join(", ")}`);
}

const reports: Report[] = [];
for (const [component, ensure] of Object.entries(COMPONENTS)) {
  if (positionals.length === 0 || positionals.includes(component)) reports.push(await report(component, ensure));
}
process.stdout.write(values.output === "json" ? `${JSON.stringify({ components: reports })}\n` : table(reports));
process.exitCode = reports.every(({ have }) => have) ? 0 : 1;

async function report(component: string, ensure: () => Promise<string>): Promise<Report> {
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 100) / 10;
  try {
    return { component, have: true, detail: await ensure(), seconds: seconds() };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { component, have: false, detail: error.message, seconds: seconds() };
  }
}

function table(rows: readonly Report[]): string {
  return rows
    .map(({ component, have, detail, seconds }) => {
      return `${have ? "have   " : "MISSING"}  ${component.padEnd(16)}  ${seconds.toFixed(1).padStart(5)} s  ${detail}\n`;
    })
    .join("");
}
