import type { SluiceEvent } from "@sluice/proto/events/event";
import { expect, test } from "vitest";
import { given } from "../context/entity.ts";
import { decideRetire, decideRevise, policyEntity } from "./decide.ts";

const FIRST: SluiceEvent = {
  type: "PolicyRevised",
  data: { policy: "a", revision: 1, digest: "d1", text: "t1" },
};
const RETIRED: SluiceEvent = { type: "PolicyRetired", data: { policy: "a" } };

test("revisions are counted from 1, and identical content makes none", () => {
  expect(decideRevise(given(policyEntity, []), { policy: "a", digest: "d1", text: "t1" })).toEqual([FIRST]);
  const state = given(policyEntity, [FIRST]);
  expect(decideRevise(state, { policy: "a", digest: "d1", text: "another spelling" })).toEqual([]);
  expect(decideRevise(state, { policy: "a", digest: "d2", text: "t2" })).toMatchObject([
    { data: { revision: 2 } },
  ]);
});

test("a retired policy comes back with its next revision, even with the same content", () => {
  const state = given(policyEntity, [FIRST, RETIRED]);
  expect(decideRevise(state, { policy: "a", digest: "d1", text: "t1" })).toMatchObject([
    { data: { revision: 2 } },
  ]);
});

test("a policy that a server holds is not retired, and it says which", () => {
  const state = given(policyEntity, [FIRST]);
  expect(() => decideRetire(state, { policy: "a", holders: ["s1", "s2"] })).toThrow("s1, s2");
  expect(decideRetire(state, { policy: "a", holders: [] })).toEqual([RETIRED]);
  expect(decideRetire(given(policyEntity, [FIRST, RETIRED]), { policy: "a", holders: [] })).toEqual([]);
  expect(() => decideRetire(policyEntity.initial, { policy: "x", holders: [] })).toThrow("no policy x");
});
