/** @module The operator's connection to the hub. */
import { FleetService } from "@spanwire/proto/fleet";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient, type ServiceClient } from "@spanwire/runtime/grpc/client";
import { clientTlsOf } from "@spanwire/runtime/operator-context/client-tls";
import type { OperatorContext } from "@spanwire/runtime/operator-context/operator-context";

export type FleetClient = ServiceClient<typeof FleetService>;

/** Opens the channel that the context names; nothing is sent before the first call. */
export function openFleet(context: OperatorContext): { readonly client: FleetClient } & Disposable {
  const channel = openChannel({ address: context.address, tls: clientTlsOf(context) });
  return { client: createClient(FleetService, channel), [Symbol.dispose]: () => channel.close() };
}
