import { expect, test } from "vitest";
import { createRejections } from "./rejections.ts";

const early = {
  key: "gateway.eu.0",
  reason: "UNKNOWN_SIGNER",
  message: "signed by nobody",
  bytes: Uint8Array.of(1, 2),
};
const forged = { ...early, bytes: Uint8Array.of(6, 6) };

test("the first of a kind is news, the next ones are counted", () => {
  const rejections = createRejections();
  expect([rejections.note(early, 0), rejections.note(early, 5)]).toEqual([true, false]);
  expect(rejections.recent(10)).toMatchObject([{ key: "gateway.eu.0", count: 2, atMs: 5 }]);
  expect(rejections.recent(700_000)).toEqual([]);
});

test("a record that came before its admission is no evidence once it is accepted; another one stays", () => {
  const rejections = createRejections();
  rejections.note(early, 0);
  rejections.lift({ key: early.key, bytes: Uint8Array.of(1, 2) });
  expect(rejections.recent(1)).toEqual([]);
  rejections.note(forged, 2);
  rejections.lift({ key: early.key, bytes: Uint8Array.of(1, 2) });
  expect(rejections.recent(3)).toMatchObject([{ bytes: Uint8Array.of(6, 6) }]);
});
