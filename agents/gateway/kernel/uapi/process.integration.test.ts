import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChildPlan } from "../contract/child.ts";
import { openKernel } from "../open-kernel.ts";
import { createUserspace } from "./userspace.ts";

const CHILD = join(import.meta.dirname, "../contract/child.ts");

test.each([
  { how: "ends", wait: false },
  { how: "is killed", wait: true },
])("wireguard-go goes on when the agent that started it $how", async ({ wait }) => {
  await using userspace = await createUserspace();
  const [device] = userspace.names.lanes;
  const changes = [
    { kind: "add-wireguard-link", name: device, mtuBytes: 1400 },
    {
      kind: "add-peer",
      device,
      publicKey: Buffer.alloc(32, 3).toString("base64"),
      keepaliveSeconds: 0,
      allowedIps: [],
    },
  ] as const;
  const plan: ChildPlan = { kernel: userspace.options, changes, wait };
  const child = spawn(process.execPath, [CHILD, JSON.stringify(plan)], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  expect((await userspace.kernel.wireguard.observe(device))?.peers.length).toBe(1);
});

test("removing the device ends its process and nobody else's", async () => {
  await using userspace = await createUserspace();
  const [lane, other] = userspace.names.lanes;
  const { kernel } = userspace;
  for (const name of [lane, other]) await kernel.wireguard.apply({ kind: "add-wireguard-link", name, mtuBytes: 1400 });
  await kernel.wireguard.apply({ kind: "remove-wireguard-link", name: lane });
  expect(await kernel.wireguard.observe(lane)).toBeUndefined();
  expect(await kernel.wireguard.observe(other)).toBeDefined();
});

test("makes a device again whose process was killed", async () => {
  await using userspace = await createUserspace();
  const { kernel, namespace, names } = userspace;
  const [device] = names.lanes;
  await kernel.wireguard.apply({ kind: "add-wireguard-link", name: device, mtuBytes: 1400 });
  const pids = await namespace.exec("pgrep", "-f", `wireguard-go ${device}`);
  await namespace.exec("kill", "-9", ...pids.trim().split("\n"));
  await expect.poll(() => kernel.wireguard.observe(device)).toBeUndefined();
  await expect.poll(async () => (await kernel.network.observe()).links).toEqual([]);
  await kernel.wireguard.apply({ kind: "add-wireguard-link", name: device, mtuBytes: 1400 });
  expect(await kernel.wireguard.observe(device)).toBeDefined();
});

test("says what to do when wireguard-go is not there", async () => {
  await using userspace = await createUserspace();
  const dataplane = { kind: "userspace", wireguardGoPath: "/nowhere/wireguard-go" } as const;
  await using kernel = openKernel({ ...userspace.options, dataplane });
  const name = userspace.names.lanes[0];
  await expect(kernel.wireguard.apply({ kind: "add-wireguard-link", name, mtuBytes: 1400 })).rejects.toThrow(
    "cannot run /nowhere/wireguard-go: install wireguard-go, or use the kernel's WireGuard",
  );
});

test("everything is written by uid 0 with CAP_NET_ADMIN alone, and nothing without it", async () => {
  await using userspace = await createUserspace();
  const { netns: _, ...options } = userspace.options; // entering a namespace takes CAP_SYS_ADMIN: it starts in it
  const [device] = userspace.names.lanes;
  const plan: ChildPlan = {
    kernel: options,
    changes: [
      { kind: "add-dummy-link", name: "sw0", mtuBytes: 1400 },
      { kind: "set-link", name: "sw0", up: true },
      { kind: "add-wireguard-link", name: device, mtuBytes: 1400 },
      { kind: "set-wireguard-device", device, listenPort: 51_940, fwmark: 0x1000 },
      { kind: "set-settings", settings: { device, rpFilter: 2, forwarding: true } },
      {
        kind: "replace-firewall",
        firewall: {
          remote: ["10.2.0.0/16"],
          kept: [],
          lanePrefix: "sw-",
          stableDevice: "sw0",
          mark: { mark: 1, mask: 1 },
          forward: [],
          snat: [],
          mssClamp: undefined,
        },
      },
    ],
    wait: false,
  };
  const withCapabilities = (set: string) =>
    userspace.namespace.exec(
      "setpriv",
      `--inh-caps=${set}`,
      `--bounding-set=${set}`,
      "--no-new-privs",
      process.execPath,
      CHILD,
      JSON.stringify(plan),
    );
  await expect(withCapabilities("-all")).rejects.toThrow("the gateway agent needs the capability CAP_NET_ADMIN");
  expect(await withCapabilities("-all,+net_admin")).toBe("done\n");
  expect((await userspace.kernel.network.observe()).settings).toContainEqual({ device, rpFilter: 2, forwarding: true });
  expect((await userspace.kernel.firewall.observe()).kind).toBe("present");
});
