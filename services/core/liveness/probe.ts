/**
 * @module What one gateway tells another inside the tunnel, on each plane by itself. WireGuard says who sent it: a probe
 * comes from the plane address of its sender, and from nobody else.
 *
 * Big-endian: "SWP1", flags (1 draining, 2 hears you, 4 asks), interval in ms (u24), session (u32), sequence (u32), the heard
 * session (u32), sequence (u32) and its age in ms (u32), the epoch it sends on (u64), the generation of the epoch record
 * that it obeys (u64); then zeros, up to the size that is tried.
 */

export interface Probe {
  /** Chosen at random when the sender starts, because its sequence begins anew. */
  readonly session: number;
  /** From 1, one more with each probe to this gateway, on whichever plane: tells which of two was said last. */
  readonly sequence: number;
  /** The next one on this plane comes within this time. At most 2^24 - 1. */
  readonly intervalMs: number;
  /** Whether the receiver should send as often; else the interval is what the receiver has asked for. */
  readonly asks: boolean;
  readonly isDraining: boolean;
  /** Whether the sender hears the receiver's probes on this plane. */
  readonly hearsYou: boolean;
  /** The receiver's last probe that came in, for the time of the round trip. */
  readonly echo: { readonly session: number; readonly sequence: number; readonly agoMs: number } | undefined;
  /** The epoch that carries what the sender sends to the receiver. */
  readonly sendsOn: bigint;
  readonly generation: bigint;
}

/** UDP, on the plane addresses: the same at both ends. Below the ports that systems give away by themselves. */
export const DEFAULT_PROBE_PORT = 5180;
export const PROBE_BYTES = 44;
const MAGIC = 0x53_57_50_31;
const DRAINING = 1;
const HEARS_YOU = 2;
const ASKS = 4;

/** `sizeBytes` beyond the probe's own is filled with zeros: what arrives proves that the path carries so much. */
export function encodeProbe(probe: Probe, sizeBytes = PROBE_BYTES): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(sizeBytes, PROBE_BYTES));
  const view = new DataView(bytes.buffer);
  const { session, sequence, intervalMs, asks, isDraining, hearsYou, echo, sendsOn, generation } = probe;
  view.setUint32(0, MAGIC);
  const flags = (isDraining ? DRAINING : 0) | (hearsYou ? HEARS_YOU : 0) | (asks ? ASKS : 0);
  view.setUint32(4, flags * 0x100_0000 + Math.min(intervalMs, 0xff_ffff));
  view.setUint32(8, session);
  view.setUint32(12, sequence);
  view.setUint32(16, echo?.session ?? 0);
  view.setUint32(20, echo?.sequence ?? 0);
  view.setUint32(24, Math.min(echo?.agoMs ?? 0, 0xffff_ffff));
  view.setBigUint64(28, sendsOn);
  view.setBigUint64(36, generation);
  return bytes;
}

/** Undefined for anything else: the port is open to whatever the other gateway forwards. */
export function decodeProbe(bytes: Uint8Array): Probe | undefined {
  if (bytes.byteLength < PROBE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) return undefined;
  const [flags, echoed] = [view.getUint8(4), view.getUint32(20)];
  return {
    session: view.getUint32(8),
    sequence: view.getUint32(12),
    intervalMs: view.getUint32(4) & 0xff_ffff,
    asks: (flags & ASKS) !== 0,
    isDraining: (flags & DRAINING) !== 0,
    hearsYou: (flags & HEARS_YOU) !== 0,
    echo: echoed === 0 ? undefined : { session: view.getUint32(16), sequence: echoed, agoMs: view.getUint32(24) },
    sendsOn: view.getBigUint64(28),
    generation: view.getBigUint64(36),
  };
}
