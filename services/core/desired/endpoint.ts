/**
 * @module When a peer's endpoint is written: the only diff of the data plane that looks at what the peer does.
 *
 * WireGuard follows a peer that roams, and what it found is better than what we know. So an endpoint is written when
 * there is none, when the list of candidates no longer holds the one in use, and when nothing is heard that should be.
 */

/** How long we send without hearing anything before the next candidate is tried: WireGuard's own patience (15 s). */
export const SILENCE_MS = 15_000;

/**
 * How long a peer may be unheard whatever we sent. WireGuard does not count what it could not send, for want of a route
 * to a candidate of the wrong family for instance. Both sides send a keepalive every 20 s: two of them are missing.
 */
const UNHEARD_MS = 45_000;

/** An empty packet, as a keepalive is. A peer owes no answer to it, so one does not count as sending. */
const KEEPALIVE_BYTES = 32;

/** A peer as desired and as the kernel reports it. */
export interface EndpointFacts {
  /** Best first, "192.0.2.1:51820" or "gw.example:51820"; empty for a peer that dials us. */
  readonly candidates: readonly string[];
  /** What the kernel uses, roamed or not; undefined when it has none. */
  readonly endpoint: string | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Whether there ever was a handshake. WireGuard itself tries until there is. */
  readonly handshaken: boolean;
  readonly nowMs: number;
}

/** What to remember until the next look, in memory only: an agent that restarts leaves the kernel's endpoint alone. */
export interface EndpointMemory {
  readonly candidates: readonly string[];
  /** Index of the candidate that was written last; -1 when none was. */
  readonly written: number;
  readonly receivedBytes: number;
  /** What was sent by the time we last heard something or wrote an endpoint. */
  readonly sentBytes: number;
  /** When that was. */
  readonly quietSinceMs: number;
  /** Since when we have been sending without an answer. */
  readonly unansweredSinceMs: number | undefined;
}

export interface EndpointDecision {
  /** To be resolved anew if it is a name, and written; undefined keeps what the kernel has. */
  readonly write: string | undefined;
  readonly memory: EndpointMemory;
}

/** Decides for one peer, every few seconds. The first look at a peer has no memory. */
export function decideEndpoint(facts: EndpointFacts, memory: EndpointMemory | undefined): EndpointDecision {
  const { candidates, endpoint } = facts;
  const inUse = endpoint === undefined ? -1 : candidates.indexOf(endpoint);
  const isListChanged = memory !== undefined && candidates.join() !== memory.candidates.join();
  if (endpoint === undefined || (isListChanged && inUse < 0)) return writeNext(facts, -1);

  const written = isListChanged || memory === undefined ? inUse : memory.written;
  const watched = watch(facts, memory, written);
  return isSilent(facts, watched) ? writeNext(facts, written) : { write: undefined, memory: watched };
}

function isSilent({ handshaken, nowMs }: EndpointFacts, { quietSinceMs, unansweredSinceMs }: EndpointMemory): boolean {
  const isUnanswered = unansweredSinceMs !== undefined && nowMs - unansweredSinceMs >= SILENCE_MS;
  return isUnanswered || nowMs - quietSinceMs >= (handshaken ? UNHEARD_MS : SILENCE_MS);
}

function writeNext(facts: EndpointFacts, written: number): EndpointDecision {
  const { candidates } = facts;
  const next = candidates.length === 0 ? -1 : (written + 1) % candidates.length;
  return { write: candidates[next], memory: begin(facts, next) };
}

/** What we know of the silence now. Counters that fell belong to a device that was made anew. */
function watch(facts: EndpointFacts, memory: EndpointMemory | undefined, written: number): EndpointMemory {
  const { candidates, sentBytes, receivedBytes, nowMs } = facts;
  const isHeard = memory === undefined || receivedBytes !== memory.receivedBytes || sentBytes < memory.sentBytes;
  if (isHeard) return begin(facts, written);
  const isSending = sentBytes - memory.sentBytes > KEEPALIVE_BYTES;
  const unansweredSinceMs = memory.unansweredSinceMs ?? (isSending ? nowMs : undefined);
  return { ...memory, candidates, written, unansweredSinceMs };
}

function begin({ candidates, sentBytes, receivedBytes, nowMs }: EndpointFacts, written: number): EndpointMemory {
  return { candidates, written, receivedBytes, sentBytes, quietSinceMs: nowMs, unansweredSinceMs: undefined };
}
