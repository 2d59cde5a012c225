/** @module The audit store in memory, for tests: it behaves, and can be taken away, tampered with and rolled back. */
import { SpanwireError } from "@spanwire/core/errors";
import type { AuditStore, StoredBlock } from "./audit-store.ts";

export interface FakeAuditStore extends AuditStore {
  /** What is stored; a test may change it. */
  blocks: StoredBlock[];
  goAway(): void;
  comeBack(): void;
  /** The next write is stored, and its answer is lost. */
  loseNextAnswer(): void;
}

export function createFakeAuditStore(): FakeAuditStore {
  let isAway = false;
  let isAnswerLost = false;
  let trimmed = 1;
  const away = () => new SpanwireError("unavailable", "the audit store is away");
  const reach = () => {
    if (isAway) throw away();
  };
  const lastOf = ({ blocks }: FakeAuditStore) => blocks.at(-1)?.position ?? trimmed - 1;
  const store: FakeAuditStore = {
    blocks: [],
    async append(bytes, { expectedLast }) {
      reach();
      const last = lastOf(store);
      if (last !== expectedLast) return { ok: false, conflict: `the last block is ${last}, not ${expectedLast}` };
      store.blocks.push({ position: last + 1, bytes });
      if (isAnswerLost) {
        isAnswerLost = false;
        throw away();
      }
      return { ok: true, revision: last + 1 };
    },
    async read(position) {
      reach();
      return store.blocks.find((block) => block.position >= position);
    },
    async status() {
      reach();
      const last = lastOf(store);
      const sizeBytes = store.blocks.reduce((sum, { bytes }) => sum + bytes.length, 0);
      return { first: store.blocks[0]?.position ?? last + 1, last, sizeBytes };
    },
    async trim(before) {
      reach();
      trimmed = before;
      store.blocks = store.blocks.filter(({ position }) => position >= before);
    },
    goAway() {
      isAway = true;
    },
    comeBack() {
      isAway = false;
    },
    loseNextAnswer() {
      isAnswerLost = true;
    },
  };
  return store;
}
