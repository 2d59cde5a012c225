/** The disk of a gateway's state is really full, then really read-only: a small tmpfs of the test's own. */
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import { makeTestDirectory } from "@spanwire/gateway/testing";
import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { execute, executeOrThrow } from "../lab/execute.ts";
import { requireRoot } from "../lab/require-root.ts";
import { runTier } from "../lab/tier.ts";
import { listDifferences } from "./chaos-differences.ts";
import { startChaosGateway } from "./chaos-gateway.ts";
import { startChaosHub } from "./chaos-hub.ts";

const outcome = await runTier("a disk that is full or read-only", async () => requireRoot());
const SOON = { timeout: 60_000, interval: 100 };
const LIMIT_MS = 300_000;
/** Smaller than any record: the last page of a file takes some when there is no other. */
const CRUMB_BYTES = 16;

test.skipIf(outcome.kind === "skipped")(
  "a full and then read-only state directory: changes are followed, the status says so, and it heals with the disk",
  async () => {
    await using directory = await makeTestDirectory();
    await using disk = await mountSmallDisk(join(directory.path, "disk"));
    await using hub = await startChaosHub();
    const joinAs = async (clusterId: string, at: string, index: number) => {
      const { token } = await hub.ask((fleet, options) => fleet.createToken({ clusterId }, options));
      return startChaosGateway({
        directory: at,
        token: new Secret(Buffer.from(token)),
        prefixes: [`10.${index}.0.0/16`],
        host: `192.0.2.${index}`,
        patienceMs: 60_000,
        settings: { statusEveryMs: 500 },
      });
    };
    await using eu = await joinAs("eu", join(disk.path, "eu"), 1);
    await using us = await joinAs("us", join(directory.path, "us"), 2);
    let port = 1_000;
    const change = async () => {
      port += 1;
      const allow = [{ direction: Direction.BOTH, protocol: Protocol.TCP, ports: [{ first: port, last: port }] }];
      const links = [{ name: "shop", left: { clusters: ["eu"] }, right: { clusters: ["us"] }, allow }];
      const policy = { defaultLinks: DefaultLinks.FULL_MESH, links };
      await hub.ask((fleet, options) => fleet.setLinkPolicy({ policy }, options));
    };
    const follow = async () => {
      await change();
      await expect.poll(() => eu.kernel.toString(), SOON).toContain(`${port}`);
      await expect.poll(() => listDifferences(hub, [eu, us]), SOON).toEqual([]);
    };
    const said = () => eu.conditions.map(({ type, message }) => `${type}: ${message}`).join("\n");
    const heardByHub = async () => {
      const { status } = await hub.ask((fleet, options) => fleet.getStatus({}, options));
      const gateways = status?.clusters.flatMap((cluster) => cluster.gateways) ?? [];
      return gateways.flatMap((gateway) => gateway.status?.conditions.map(({ type }) => type) ?? []);
    };
    await follow();
    expect(said()).toBe("");

    disk.fill();
    await expect.poll(() => change().then(said), SOON).toMatch(/StateNotSaved: .*ENOSPC|no space left/s);
    await follow();
    await expect.poll(heardByHub, SOON).toContain("StateNotSaved");

    await expect.poll(() => disk.remount("ro"), SOON).toBe(0); // not while a file is open for writing
    await follow();
    await expect.poll(said, SOON).toMatch(/StateNotSaved: .*(EROFS|read-only)/s);

    expect(await disk.remount("rw")).toBe(0);
    disk.empty();
    await expect.poll(said, SOON).toBe("");
    await follow();
    await expect.poll(heardByHub, SOON).not.toContain("StateNotSaved");
    const before = eu.kernel.toString();
    await hub.whileDown(async () => {
      const { writes } = eu.kernel;
      await eu.kill(0);
      await expect.poll(() => eu.reconciles, SOON).toBeGreaterThan(0);
      expect(eu.kernel.toString()).toBe(before); // from the disk, which holds all of it again
      expect(eu.kernel.writes).toBe(writes);
    });
    expect([...eu.made].filter(([, times]) => times > 1)).toEqual([]);
  },
  LIMIT_MS,
);

interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Until not one more byte can be written. */
  fill(): void;
  empty(): void;
  /** The exit status of mount. */
  remount(mode: "ro" | "rw"): Promise<number | null>;
}

async function mountSmallDisk(path: string): Promise<SmallDisk> {
  await mkdir(path);
  await executeOrThrow(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "spanwire-test", path]);
  const filler = join(path, "filler");
  return {
    path,
    fill() {
      const file = openSync(filler, "a");
      for (let size = 1 << 20; size >= CRUMB_BYTES; ) {
        try {
          writeSync(file, Buffer.alloc(size));
        } catch {
          size /= 2;
        }
      }
      closeSync(file);
    },
    empty: () => unlinkSync(filler),
    remount: async (mode) => (await execute(["mount", "-o", `remount,${mode}`, path])).status,
    async [Symbol.asyncDispose]() {
      await executeOrThrow(["umount", "--lazy", path]);
    },
  };
}
