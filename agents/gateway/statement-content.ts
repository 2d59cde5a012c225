/** @module What the own statement says, from settings and keys. Pure. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Dataplane, type EndpointSchema, GatewayState, Plane, type PlaneKeySchema } from "@spanwire/proto/record";
import type { EpochKey } from "./identity/wireguard-keys.ts";
import type { StatementContent } from "./subscription/own-statement.ts";

export interface StatementSettings {
  /** Best first; none where nobody can reach this gateway. */
  readonly endpoints: readonly MessageInitShape<typeof EndpointSchema>[];
  readonly draining: boolean;
  readonly dataplane: "kernel" | "userspace";
  readonly version: string;
}

export function statementContent(settings: StatementSettings, keys: readonly EpochKey[]): StatementContent {
  const { endpoints, draining, dataplane, version } = settings;
  return {
    endpoints: [...endpoints],
    keys: keys.map(planeKey),
    state: draining ? GatewayState.DRAINING : GatewayState.SERVING,
    dataplane: toDataplane(dataplane),
    agentVersion: version,
  };
}

export function toDataplane(dataplane: StatementSettings["dataplane"]): Dataplane {
  return dataplane === "kernel" ? Dataplane.KERNEL : Dataplane.USERSPACE;
}

function planeKey({ plane, epoch, publicKey }: EpochKey): MessageInitShape<typeof PlaneKeySchema> {
  return { plane: plane === "a" ? Plane.A : Plane.B, epoch, publicKey: Buffer.from(publicKey, "base64") };
}
