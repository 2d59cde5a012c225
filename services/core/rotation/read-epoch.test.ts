import { create } from "@bufbuild/protobuf";
import { EpochSchema, EpochState } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { readEpoch, writeEpoch } from "./read-epoch.ts";

test.each([
  { active: 4n, opening: undefined, state: "steady" },
  { active: 4n, opening: 5n, state: "open" },
  { active: 4n, opening: 5n, state: "closing" },
  { active: 4n, opening: 7n, state: "aborted" },
] as const)("$state is read as it was written", (epoch) => {
  const view = { ...epoch, generation: 3n };
  expect(readEpoch(create(EpochSchema, writeEpoch(view, "r")), 3n)).toEqual(view);
});

test.each([
  { name: "an opening epoch on the plane in use", active: 4n, opening: 6n, state: EpochState.OPEN },
  { name: "a state that is not known", active: 4n, opening: 5n, state: 77 as EpochState },
  { name: "a rotation to nowhere", active: 4n, opening: undefined, state: EpochState.CLOSING },
])("does not obey $name", ({ active, opening, state }) => {
  const epoch = create(EpochSchema, { active, state, ...(opening !== undefined && { opening }) });
  expect(readEpoch(epoch, 3n)).toEqual({
    active: 4n,
    opening: undefined,
    state: "steady",
    generation: 3n,
  });
});
