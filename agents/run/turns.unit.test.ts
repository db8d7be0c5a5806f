import { expect, test } from "vitest";
import { createTurns } from "./turns.ts";

test("one thing at a time, in the order asked for, also after a failure", async () => {
  const turns = createTurns();
  const done: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.take(async () => {
    await gate.promise;
    done.push("first");
    throw new Error("no");
  });
  const second = turns.take(async () => done.push("second"));
  gate.resolve();
  await expect(first).rejects.toThrow("no");
  await second;
  expect(done).toEqual(["first", "second"]);
});

test("once closed, what was asked for is done, and nothing more is begun: not by what was under way either", async () => {
  const turns = createTurns();
  const done: string[] = [];
  const gate = Promise.withResolvers<void>();
  const late: Promise<unknown>[] = [];
  void turns.take(async () => {
    await gate.promise;
    late.push(turns.take(async () => done.push("asked for by the first")));
    done.push("first");
  });
  void turns.take(async () => done.push("second"));
  const closed = turns.close();
  const refused = expect(turns.take(async () => done.push("late"))).rejects.toThrow("the agent stops");
  gate.resolve();
  await closed;
  await refused;
  await expect(late[0]).rejects.toThrow("the agent stops");
  expect(done).toEqual(["first", "second"]);
});
