/** @module A gateway for tests: the real agent, joined to a real hub, over a kernel that behaves. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { ensureMembership } from "@spanwire/gateway/join/join";
import type { Membership } from "@spanwire/gateway/join/membership";
import type { FakeKernel } from "@spanwire/gateway/kernel/fake/fake-kernel";
import { startTestAgent, type TestAgent } from "@spanwire/gateway/testing";
import { ClusterKind } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { secretText } from "@spanwire/runtime/config/secret-text";
import { systemRandom } from "@spanwire/runtime/crypto/random";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import type { HubProcess } from "./hub-process.ts";

export interface Member extends AsyncDisposable {
  readonly clusterId: string;
  readonly stateDirectory: string;
  readonly membership: Membership;
  readonly running: TestAgent;
  readonly kernel: FakeKernel;
}

export interface MemberOptions {
  readonly clusterId: string;
  readonly prefixes: readonly string[];
  readonly endpoint: string;
}

const CALL_MS = 60_000;

/** Creates a token, joins with it and runs the agent until it is disposed of. */
export async function joinMember(
  hub: Pick<HubProcess, "fleet">,
  { clusterId, prefixes, endpoint }: MemberOptions,
): Promise<Member> {
  const stateDirectory = await mkdtemp(join(tmpdir(), `spanwire-${clusterId}-`));
  const fleet = await hub.fleet();
  const { token } = await fleet.createToken({ clusterId }, { timeoutMs: CALL_MS });
  const membership = await ensureMembership({
    stateDirectory,
    identity: await ensureIdentity(stateDirectory),
    token: secretText.parse(token),
    clusterId: undefined,
    hubAddress: undefined,
    wish: { kind: ClusterKind.VM, prefixes, labels: {}, ordinal: undefined },
    clock: systemClock,
    random: systemRandom,
    log: createRecordingLog(),
    signal: AbortSignal.timeout(CALL_MS),
  });
  const settings = { endpoints: [{ host: endpoint, basePort: 51_820 }] };
  const running = await startTestAgent({ stateDirectory, membership, settings });
  return {
    clusterId,
    stateDirectory,
    membership,
    running,
    kernel: running.kernel,
    async [Symbol.asyncDispose]() {
      await running.stop();
      await rm(stateDirectory, { recursive: true, force: true });
    },
  };
}
