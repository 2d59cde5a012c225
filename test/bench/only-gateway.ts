import type { GatewayMachine, Site } from "../netns/topology.ts";

/** The gateway of a site that has one. */
export function onlyGateway({ name, gateways }: Site): GatewayMachine {
  const [gateway] = gateways;
  if (gateway === undefined || gateways.length > 1) throw new Error(`site ${name} has not one gateway`);
  return gateway;
}
