import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../demo/eventually.ts";
import { executeOrThrow } from "../lab/execute.ts";
import { natsServerPath } from "../lab/nats-server.ts";
import { BEFORE_NETWORK, isLabVm, type SystemdHost, startSystemdHost } from "./systemd-host.ts";

const CHECKOUT = join(import.meta.dirname, "../..");
const PACKAGE = join(CHECKOUT, "services/cli/dist");
const SCRIPTS = `${PACKAGE}/deploy/systemd`;
const CONTEXT = "/var/lib/spanwire-hub/context.json";
const SECOND_SITE = join(import.meta.dirname, "systemd-second-site.ts");
const PATIENT = { timeoutMs: 180_000, intervalMs: 250 };

const SETTINGS = `
tokenFile: /etc/spanwire/join.token
prefixes: [10.1.0.0/16]
endpoints: [192.0.2.10]
metricsPort: 9464
`;
const STATE = ["/var/lib/spanwire-hub", "/var/lib/spanwire-agent"];
/** The second site is a peer, and its prefix has a way. */
const LINKED = "wg show sw-a0 allowed-ips | grep 10.2.0.0/16 && ip route show table 5180 | grep '10.2.0.0/16.*nhid'";
/** Keeps the agent from starting until a test says so. */
const HOLD = `
[Service]
ExecStartPre=/bin/sh -c 'until [ -e /run/go ]; do sleep 1; done'
`;
/** Everything in the kernel that could be ours, or could suffer from us; counters and random addresses aside. */
const KERNEL = `
{ ip -o link; ip -o addr; ip rule; ip -6 rule; ip nexthop; ip route show table all; ip -6 route show table all; } |
  sed 's/link.ether.*//; /fe80:/d'
for what in peers endpoints allowed-ips persistent-keepalive listen-port fwmark; do wg show all $what; done
nft -s list ruleset
`;
const DISK =
  "getent passwd; getent group; find /etc /var/lib -maxdepth 3 ! -path '/etc/systemd/*' ! -name '*-' ! -name .pwd.lock | sort; ls /usr/lib";

// Elsewhere this would install units and users on somebody's machine.
if (!isLabVm()) process.stderr.write("SKIPPED systemd units and scripts: this is not the lab's VM\n");
describe.runIf(isLabVm())("systemd units and scripts", () => {
  let host: SystemdHost;
  let untouched: { readonly kernel: string; readonly disk: string };

  beforeAll(async () => {
    // A machine that never had it, whatever the lab's host has.
    await executeOrThrow(["rm", "-rf", ...["/usr/lib/spanwire", "/etc/spanwire", ...STATE]]);
    const prepared = [
      // As the tier has just built it; a run of this file alone takes what the last build left.
      existsSync(PACKAGE) || executeOrThrow(["node", "services/cli/build.ts"], { cwd: CHECKOUT }),
      // What the package asks of a machine, where units find it and their users may read it.
      executeOrThrow(["install", "-m", "0755", process.execPath, "/usr/local/bin/node"]),
      executeOrThrow(["install", "-m", "0755", await natsServerPath(), "/usr/local/bin/nats-server"]),
    ];
    host = await startSystemdHost();
    await Promise.all(prepared);
    untouched = { kernel: await host.sh(KERNEL), disk: await host.sh(DISK) };
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  test("the hub is installed and runs as its own user without any capability", async () => {
    await host.sh(`${SCRIPTS}/install.sh hub`);
    await works("spanwire-hub", `test -e ${CONTEXT}`);
    expect(await statusOf("spanwire-hub")).toEqual({ user: "spanwire-hub", effective: NONE, bounding: NONE });
  });

  test("the agent is installed, joins with a token, and has CAP_NET_ADMIN and nothing else", async () => {
    expect(await host.sh(`${SCRIPTS}/install.sh agent`)).toContain("edit /etc/spanwire/agent.yaml");
    await host.sh(`node ${SECOND_SITE} ${CONTEXT} >/run/token`);
    await host.sh("install -m 0640 -g spanwire-agent /run/token /etc/spanwire/join.token");
    await host.sh(`cat >/etc/spanwire/agent.yaml <<'END'${SETTINGS}END`);
    await host.sh("systemctl start spanwire-agent");
    await works("spanwire-agent", LINKED);
    expect(await statusOf("spanwire-agent")).toEqual({ user: "spanwire-agent", effective: ONE, bounding: ONE });
  });

  test("installed again, both go on as they were", async () => {
    await host.sh("rm /etc/spanwire/join.token"); // as a careful person does
    const look = `${MAIN_PIDS}; ${DISK}; cat /etc/spanwire/*.yaml; systemctl list-unit-files 'spanwire*'`;
    const before = await host.sh(look);
    for (const role of ["hub", "agent"]) await host.sh(`${SCRIPTS}/install.sh ${role}`);
    expect(await host.sh(look)).toBe(before);
  });

  test("an upgrade replaces the program and leaves the kernel as it is, and so does a stop", async () => {
    await settled();
    await host.sh("systemctl disable --now spanwire-hub"); // nothing of what follows needs one
    const [kernel, pids] = [await host.sh(KERNEL), await host.sh(MAIN_PIDS)];
    await host.sh(`echo '// newer' >>${PACKAGE}/lib/spanwire/spanwire.mjs`);
    expect(await host.sh(`${SCRIPTS}/upgrade.sh`)).toContain("runs spanwire 0.1.0");
    expect(await host.sh("tail -n 1 /usr/lib/spanwire/lib/spanwire/spanwire.mjs")).toBe("// newer\n");
    await settled();
    expect(await metric("spanwire_agent_kernel_writes")).toBe(0);
    expect(await host.sh(MAIN_PIDS)).toMatch(/^0\n[1-9]\d*\n$/); // what did not run is not started
    expect(await host.sh(MAIN_PIDS)).not.toBe(pids);
    expect(await host.sh(KERNEL)).toBe(kernel);
    await host.sh("systemctl stop spanwire-agent");
    expect(await host.sh(KERNEL)).toBe(kernel);
  });

  test("after a boot the guard is there before the network and the agent, which then makes the rest without a hub", async () => {
    // The control: without a guard nothing of ours was there when the network came up.
    expect(await host.sh(`cat ${BEFORE_NETWORK}`)).not.toContain("spanwire");
    const kernel = await host.sh(KERNEL);
    const dropIn = "/etc/systemd/system/spanwire-agent.service.d";
    await host.sh(`mkdir ${dropIn} && cat >${dropIn}/hold.conf <<'END'${HOLD}END`);
    await host.reboot();

    const found = await host.sh(`cat ${BEFORE_NETWORK}`);
    for (const what of ["table inet spanwire", "blackhole 10.2.0.0/16", "table inet other"])
      expect(found).toContain(what);
    expect(await host.sh("ip -o link")).not.toContain("sw");
    await works("spanwire-agent", "systemctl show spanwire-agent --property SubState | grep start-pre");
    const firewall = await whenOf("nftables.service");
    const guard = await whenOf("spanwire-guard.service");
    expect(firewall.active).toBeLessThanOrEqual(guard.start);
    expect(guard.active).toBeLessThanOrEqual((await whenOf("network-pre.target")).active);
    expect(guard.active).toBeLessThanOrEqual((await whenOf("spanwire-agent.service")).start);

    await host.sh("touch /run/go");
    await settled();
    expect(inAnyOrder(await host.sh(KERNEL))).toEqual(inAnyOrder(kernel));
    await host.sh(`systemctl stop spanwire-agent; rm -r ${dropIn}`);
  });

  test("uid 0 with everything but CAP_NET_ADMIN dropped programs the kernel; without that it refuses", async () => {
    const kernel = await host.sh(KERNEL);
    // As in a container the files belong to uid 0, which may not read those of others.
    await host.sh("cp -R /var/lib/spanwire-agent /run/state && chown -R root:root /run/state");
    const agent = `${PACKAGE}/bin/spanwire agent`;
    const settings = "--config /etc/spanwire/agent.yaml --state-dir /run/state";
    const within = (set: string, command: string) =>
      `setpriv --inh-caps=${set} --bounding-set=${set} --no-new-privs ${agent} ${command} ${settings}`;
    const refused = await host.sh(`${within("-all", "run")} && status=0 || status=$?; echo "exit code $status"`);
    expect(refused).toContain("the gateway agent needs the capability CAP_NET_ADMIN");
    expect(refused).toContain("exit code 1\n");
    expect(await host.sh(KERNEL)).toBe(kernel);

    await host.sh(within("-all,+net_admin", "down"));
    expect(await host.sh(KERNEL)).toBe(untouched.kernel);
    await host.sh(`${within("-all,+net_admin", "run")} >/run/container.log 2>&1 & echo $! >/run/container.pid`);
    await eventually("the lanes", () => host.sh(LINKED), PATIENT);
    const status = await host.sh("cat /proc/$(cat /run/container.pid)/status");
    expect(capabilities(status)).toEqual({ effective: ONE, bounding: ONE });
    expect(status).toMatch(/^Uid:\t0\t0\t0\t0$/m);
    await host.sh("kill $(cat /run/container.pid)");
    await eventually("its end", () => host.sh("! test -e /proc/$(cat /run/container.pid)"), PATIENT);
  });

  test("uninstalled, the kernel is as before the installation, and what is known stays until --purge; all else always", async () => {
    expect(await host.sh("wg show interfaces")).toContain("sw-a0");
    await host.sh("/usr/lib/spanwire/deploy/systemd/uninstall.sh");
    expect(await host.sh(KERNEL)).toBe(untouched.kernel);
    expect(await host.sh("ls -A /etc/systemd/system")).toBe("");
    expect(await host.sh("ls /var/lib/spanwire-agent /etc/spanwire")).toMatch(/agent\.yaml[\s\S]*map\.state/);
    await host.sh(`${SCRIPTS}/uninstall.sh --purge`);
    expect(await host.sh(DISK)).toBe(untouched.disk);
  });

  /** Waits for what shows that the unit works; throws with what the unit has said when it does not come. */
  async function works(unit: string, script: string): Promise<void> {
    await eventually(unit, () => host.sh(script), PATIENT).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await host.sh(`tail -n 12 /run/${unit}.service.log`)}`);
    });
  }

  /** Waits until the agent that runs has brought the kernel to the map and has looked at it again. */
  async function settled(): Promise<void> {
    await eventually("the agent is done", async () => (await metric("spanwire_agent_reconciles")) > 1, PATIENT);
  }

  async function metric(name: string): Promise<number> {
    const request = `printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3`;
    const text = await host.sh(`bash -c "exec 3<>/dev/tcp/127.0.0.1/9464; ${request}; cat <&3"`);
    return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)`, "m").exec(text)?.[1]);
  }

  async function statusOf(unit: string) {
    const status = await host.sh(`cat /proc/$(systemctl show ${unit} --property MainPID --value)/status`);
    const uid = /^Uid:\t(\d+)/m.exec(status)?.[1];
    return { user: (await host.sh(`id -un ${uid}`)).trim(), ...capabilities(status) };
  }

  /** When the unit was started, and when it was there, in microseconds of the machine's clock. */
  async function whenOf(unit: string) {
    const text = await host.sh(
      `systemctl show ${unit} --property InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic`,
    );
    const [start, active] = ["InactiveExit", "ActiveEnter"].map((name) =>
      Number(new RegExp(`^${name}TimestampMonotonic=([1-9]\\d*)$`, "m").exec(text)?.[1]),
    );
    return { start: start ?? Number.NaN, active: active ?? Number.NaN };
  }
});

const MAIN_PIDS = "for unit in hub agent; do systemctl show spanwire-$unit --property MainPID --value; done";
const NONE = "0000000000000000";
/** CAP_NET_ADMIN is number 12. */
const ONE = "0000000000001000";

function capabilities(status: string) {
  const set = (name: string) => new RegExp(`^${name}:\\t(\\w+)$`, "m").exec(status)?.[1];
  return { effective: set("CapEff"), bounding: set("CapBnd") };
}

/** Chains are listed in the order they were made in; the name of one says what was applied, and when. */
function inAnyOrder(kernel: string): string[] {
  return kernel
    .replace(/applied-[\w-]+/, "applied")
    .split("\n")
    .sort();
}
