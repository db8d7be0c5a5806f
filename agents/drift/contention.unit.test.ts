import { describe, expect, test } from "vitest";
import { createContention } from "./contention.ts";

const CHAIN = "ip4/filter/SL-INPUT";
const CLASS = "eth0/class/1:10";

describe("two tools that fight over an object", () => {
  test("after the limit within the window, the agent stops and says so", () => {
    const contention = createContention({ limit: 3, windowMs: 1000 });
    for (const nowMs of [0, 10, 20]) expect(contention.admit([CHAIN], nowMs).repair).toEqual([CHAIN]);
    expect(contention.admit([CHAIN], 30)).toEqual({ repair: [], contended: [CHAIN] });
    expect(contention.contended(30)).toEqual([CHAIN]);
  });

  test("other objects are still repaired", () => {
    const contention = createContention({ limit: 1, windowMs: 1000 });
    contention.admit([CHAIN], 0);
    expect(contention.admit([CHAIN, CLASS], 1)).toEqual({ repair: [CLASS], contended: [CHAIN] });
  });

  test("when the window has passed, it is repaired again", () => {
    const contention = createContention({ limit: 1, windowMs: 1000 });
    contention.admit([CHAIN], 0);
    expect(contention.admit([CHAIN], 999).repair).toEqual([]);
    expect(contention.admit([CHAIN], 1000).repair).toEqual([CHAIN]);
  });
});
