import { expect, test } from "vitest";
import { endWith } from "./end-with.ts";

test("aborts with the reason of the signal, now or later, and may end before it", () => {
  const reason = new Error("closing");
  const [outer, inner] = [new AbortController(), new AbortController()];
  const [late, early] = [new AbortController(), new AbortController()];
  endWith(outer.signal, inner);
  endWith(outer.signal, early);
  early.abort("done");
  expect([outer.signal.aborted, inner.signal.aborted]).toEqual([false, false]);
  outer.abort(reason);
  endWith(outer.signal, late);
  expect([inner, late, early].map(({ signal }) => signal.reason)).toEqual([reason, reason, "done"]);
});
