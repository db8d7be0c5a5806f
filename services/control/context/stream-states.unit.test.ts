import { expect, test } from "vitest";
import type { Entity } from "./entity.ts";
import { createStreamStates } from "./stream-states.ts";

const count: Entity<number> = { initial: 0, evolve: (sum) => sum + 1 };
const other: Entity<string> = { initial: "", evolve: (text) => `${text}.` };

test("a stream is gone on with from where it was read last", () => {
  const states = createStreamStates();
  expect(states.of("server-a", count)).toEqual({ state: 0, version: 0 });
  states.keep("server-a", count, { state: 3, version: 3 });
  expect(states.of("server-a", count)).toEqual({ state: 3, version: 3 });
});

test("who read less at the same time takes nothing back", () => {
  const states = createStreamStates();
  states.keep("server-a", count, { state: 3, version: 3 });
  states.keep("server-a", count, { state: 2, version: 2 });
  expect(states.of("server-a", count).version).toBe(3);
});

test("a stream that was forgotten, or is read as another entity, is read from its beginning", () => {
  const states = createStreamStates();
  states.keep("server-a", count, { state: 3, version: 3 });
  expect(states.of("server-a", other)).toEqual({ state: "", version: 0 });
  states.forget("server-a");
  expect(states.of("server-a", count)).toEqual({ state: 0, version: 0 });
});

test("of many streams those that were read last are kept", () => {
  const states = createStreamStates(2);
  for (const stream of ["a", "b"]) states.keep(stream, count, { state: 1, version: 1 });
  states.keep("a", count, { state: 2, version: 2 });
  states.keep("c", count, { state: 1, version: 1 });
  expect(["a", "b", "c"].map((stream) => states.of(stream, count).version)).toEqual([2, 0, 1]);
});
