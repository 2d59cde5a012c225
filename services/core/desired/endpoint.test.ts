import { describe, expect, test } from "vitest";
import { decideEndpoint, type EndpointMemory } from "./endpoint.ts";

const A = "192.0.2.1:51820";
const B = "gw.example:51820";

/** One look: seconds, and the counters and endpoint of the kernel then. */
interface Look {
  readonly at: number;
  readonly endpoint?: string | undefined;
  readonly sent?: number;
  readonly heard?: number;
  readonly handshaken?: boolean;
  readonly candidates?: readonly string[];
  /** What is written; absent is nothing. */
  readonly writes?: string;
}

function walk(looks: readonly Look[]): void {
  let memory: EndpointMemory | undefined;
  for (const { at, sent = 0, heard = 0, handshaken = true, candidates = [A, B], writes, ...look } of looks) {
    const endpoint = "endpoint" in look ? look.endpoint : A;
    const counted = { sentBytes: sent, receivedBytes: heard, handshaken };
    const facts = { candidates, endpoint, ...counted, nowMs: at * 1000 };
    const decision = decideEndpoint(facts, memory);
    expect([at, decision.write]).toEqual([at, writes]);
    memory = decision.memory;
  }
}

describe("an endpoint is written", () => {
  test("when the peer has none", () => walk([{ at: 0, endpoint: undefined, writes: A }, { at: 1 }]));

  test("when the list changes and no longer holds it", () => {
    walk([{ at: 0 }, { at: 1, candidates: [B], writes: B }, { at: 2, candidates: [B], endpoint: "192.0.2.9:51820" }]);
  });

  test("when 15 s of sending were not answered: the next candidate, and round again", () => {
    walk([
      { at: 0, sent: 100, heard: 100 },
      { at: 5, sent: 500, heard: 100 },
      { at: 19, sent: 900, heard: 100 },
      { at: 20, sent: 1000, heard: 100, writes: B },
      { at: 25, sent: 1500, heard: 100, endpoint: "192.0.2.7:51820" },
      { at: 40, sent: 2000, heard: 100, endpoint: "192.0.2.7:51820", writes: A },
    ]);
  });

  test("when a new peer cannot even be sent to: this host has no route to the candidate", () => {
    walk([
      { at: 0, handshaken: false },
      { at: 10, handshaken: false },
      { at: 15, handshaken: false, writes: B },
      { at: 20, handshaken: false, endpoint: "192.0.2.7:51820" },
      { at: 25, endpoint: "192.0.2.7:51820", sent: 148, heard: 92 },
      { at: 45, endpoint: "192.0.2.7:51820", sent: 180, heard: 124 },
    ]);
  });

  test("when a peer that was there is not heard for 45 s, although nothing could be sent", () => {
    walk([
      { at: 0, sent: 500, heard: 500 },
      { at: 10, sent: 500, heard: 532 },
      { at: 54, sent: 500, heard: 532 },
      { at: 55, sent: 500, heard: 532, writes: B },
      { at: 99, sent: 500, heard: 532, endpoint: "192.0.2.7:51820" },
      { at: 100, sent: 500, heard: 532, endpoint: "192.0.2.7:51820", writes: A },
    ]);
  });

  test("again the only candidate, whose name may resolve otherwise now", () => {
    walk([
      { at: 0, candidates: [B], endpoint: "192.0.2.7:51820" },
      { at: 1, candidates: [B], endpoint: "192.0.2.7:51820", sent: 148 },
      { at: 16, candidates: [B], endpoint: "192.0.2.7:51820", sent: 600, writes: B },
    ]);
  });
});

describe("an endpoint is left alone", () => {
  test("when an agent that has just started finds one, listed or roamed", () => {
    walk([{ at: 0 }, { at: 1 }]);
    walk([
      { at: 0, endpoint: "203.0.113.5:40000" },
      { at: 1, endpoint: "203.0.113.5:40000" },
    ]);
  });

  test("when the peer roams", () => {
    walk([
      { at: 0, heard: 1 },
      { at: 20, sent: 1000, heard: 500, endpoint: "203.0.113.5:40000" },
    ]);
  });

  test("when the list changes and still holds it", () => walk([{ at: 0 }, { at: 1, candidates: [B, A] }]));

  test("when the peer is heard in time", () => {
    walk([
      { at: 0, sent: 100, heard: 100 },
      { at: 5, sent: 500, heard: 100 },
      { at: 14, sent: 900, heard: 132 },
      { at: 21, sent: 1000, heard: 132 },
      { at: 35, sent: 1500, heard: 164 },
    ]);
  });

  test("when only a keepalive was sent: nothing is owed for it", () => {
    walk([
      { at: 0, sent: 100 },
      { at: 10, sent: 132 },
      { at: 29, sent: 132 },
    ]);
  });

  test("when the peer dials us and has no candidates", () => {
    walk([
      { at: 0, candidates: [], endpoint: undefined },
      { at: 1, candidates: [], endpoint: "203.0.113.5:40000", sent: 200 },
      { at: 40, candidates: [], endpoint: "203.0.113.5:40000", sent: 900 },
    ]);
  });

  test("when the counters start again with a new device", () => {
    walk([
      { at: 0, sent: 5000, heard: 5000 },
      { at: 1, sent: 9000, heard: 5000 },
      { at: 17, sent: 148, heard: 0 },
    ]);
  });
});
