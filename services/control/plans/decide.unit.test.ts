import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import { expect, test } from "vitest";
import { given } from "../context/entity.ts";
import { decideAnswer, decideExpire, decideRequest, planEntity } from "./decide.ts";

const EXPIRES = "2026-01-01T00:00:30.000Z";
const REQUESTED: EventData<"PlanRequested"> = {
  ...{ plan: "p-1", policy: "a", text: "", servers: ["s1", "s2"], expiresAt: EXPIRES },
};
const request: SluiceEvent = { type: "PlanRequested", data: REQUESTED };

function answer(server: string, result: "ok" | "refused") {
  return { server, result, differences: [], warnings: [] };
}

function answered(server: string, result: "ok" | "refused"): SluiceEvent {
  return { type: "PlanAnswered", data: { plan: "p-1", ...answer(server, result) } };
}

test("the last answer finishes it: ok when all are", () => {
  const first = given(planEntity, [request]);
  expect(decideAnswer(first, answer("s1", "ok")).map(({ type }) => type)).toEqual(["PlanAnswered"]);
  const second = given(planEntity, [request, answered("s1", "ok")]);
  expect(decideAnswer(second, answer("s2", "ok")).at(-1)?.data).toMatchObject({ result: "ok" });
  expect(decideAnswer(second, answer("s2", "refused")).at(-1)?.data).toMatchObject({ result: "refused" });
});

test("what compiling found worth saying is told with the server's own answer", () => {
  const warned: SluiceEvent = {
    type: "PlanRequested",
    data: { ...REQUESTED, warnings: { s1: ["auto is sfq here"] } },
  };
  const state = given(planEntity, [warned]);
  const told = (server: string) =>
    decideAnswer(state, { ...answer(server, "ok"), warnings: ["INPUT: SL-INPUT, then 1 rule"] })[0]?.data;
  expect(told("s1")).toMatchObject({ warnings: ["auto is sfq here", "INPUT: SL-INPUT, then 1 rule"] });
  expect(told("s2")).toMatchObject({ warnings: ["INPUT: SL-INPUT, then 1 rule"] });
});

test("a second answer, one of a stranger and one after the end are nothing", () => {
  const state = given(planEntity, [request, answered("s1", "ok")]);
  expect(decideAnswer(state, answer("s1", "refused"))).toEqual([]);
  expect(decideAnswer(state, answer("s9", "ok"))).toEqual([]);
  const over = given(planEntity, [request, ...decideExpire(state, EXPIRES)]);
  expect(decideAnswer(over, answer("s2", "ok"))).toEqual([]);
});

test("past its time those without an answer are silent, and it is refused", () => {
  const state = given(planEntity, [request, answered("s1", "ok")]);
  expect(decideExpire(state, "2026-01-01T00:00:29.999Z")).toEqual([]);
  expect(decideExpire(state, EXPIRES)).toMatchObject([
    { data: { server: "s2", result: "silent" } },
    { type: "PlanFinished", data: { result: "refused" } },
  ]);
});

test("a plan that control refuses for every server is finished at once", () => {
  const types = (refused: string[]) =>
    decideRequest(
      REQUESTED,
      refused.map((server) => answer(server, "refused")),
    ).map(({ type }) => type);
  expect(types(["s1"])).toEqual(["PlanRequested", "PlanAnswered"]);
  expect(types(["s1", "s2"])).toEqual(["PlanRequested", "PlanAnswered", "PlanAnswered", "PlanFinished"]);
});
