/** @module Which ordinal a gateway gets. */
import { type Refused, refuse } from "./refusal.ts";

export interface OrdinalRequest {
  readonly clusterId: string;
  readonly taken: readonly number[];
  readonly maxGateways: number;
  /** The ordinal that the token is bound to: the only one it may take, and one that it may take over. */
  readonly tokenOrdinal: number | undefined;
  /** What the gateway asks for itself. */
  readonly wanted: number | undefined;
}

/** The named ordinal, or the lowest free one. Only a token that is bound to an ordinal takes it from its holder. */
export function chooseOrdinal(request: OrdinalRequest): { readonly ok: true; readonly ordinal: number } | Refused {
  const { clusterId, taken, maxGateways, tokenOrdinal, wanted } = request;
  const named = tokenOrdinal ?? wanted;
  if (named === undefined) return chooseFree(request);
  if (named >= maxGateways) {
    const message = `ordinal ${named} of cluster "${clusterId}": this mesh has ordinals 0 to ${maxGateways - 1}`;
    return refuse("ORDINAL_OUT_OF_RANGE", message);
  }
  if (tokenOrdinal === undefined && taken.includes(named)) {
    const how = `create a token for it with: spanwire token create ${clusterId} --ordinal ${named}`;
    return refuse("ORDINAL_TAKEN", `gateway ${clusterId}.${named} exists already: to take it over, ${how}`);
  }
  return { ok: true, ordinal: named };
}

function chooseFree({ clusterId, taken, maxGateways }: OrdinalRequest): ReturnType<typeof chooseOrdinal> {
  for (let ordinal = 0; ordinal < maxGateways; ordinal++) if (!taken.includes(ordinal)) return { ok: true, ordinal };
  const how = `revoke one, or take one over with: spanwire token create ${clusterId} --ordinal N`;
  return refuse("NO_FREE_ORDINAL", `cluster "${clusterId}" has all of its ${maxGateways} gateways: ${how}`);
}
