import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTcLab, type TcLab } from "./tc-lab.ts";
import { expectAllToArrive, expectPacketsToStay, type Leaf, queueOf, slowTree } from "./tc-queue.ts";

let lab: TcLab;
beforeEach(async () => {
  lab = await openTcLab("eth0");
});
afterEach(() => lab[Symbol.asyncDispose]());

const PFIFO: Leaf = { kind: "pfifo", args: "limit 100" };

describe("packets that wait in a class", () => {
  test.each<[string, Leaf, Leaf]>([
    ["a longer pfifo", PFIFO, { kind: "pfifo", args: "limit 200" }],
    ["a longer bfifo", { kind: "bfifo", args: "limit 100000" }, { kind: "bfifo", args: "limit 200000" }],
    [
      "a faster tbf",
      { kind: "tbf", args: "rate 1mbit burst 5000 limit 90000" },
      { kind: "tbf", args: "rate 2mbit burst 6000 limit 80000" },
    ],
  ])("stay over a change to %s, and every one of them arrives", async (_, from, to) => {
    const lines = await expectPacketsToStay(lab, slowTree(from), slowTree(to));
    expect(lines).toEqual([expect.stringMatching(/^qdisc change dev eth0 parent 1:10 handle 10: /)]);
    await expectAllToArrive(lab, to);
  });

  test("stay over a change of their class's rate, of its neighbours and of its filters", async () => {
    const from = slowTree(PFIFO);
    const other = { parent: "1:", classid: "1:20", kind: "htb", args: ["rate", "1mbit"] };
    const filter = {
      ...{ parent: "1:", protocol: "ip", prio: 1, handle: "800::1", kind: "u32" },
      args: ["match", "ip", "dport", "99", "0xffff", "flowid", "1:20"],
    };
    const to = slowTree(PFIFO, "2kbit");
    const lines = await expectPacketsToStay(lab, from, {
      ...to,
      classes: [...to.classes, other],
      filters: [filter],
    });
    expect(lines.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "class change",
      "class add",
      "filter add",
    ]);
    await expectAllToArrive(lab, PFIFO);
  });

  test("are lost with the root, which goes only when its own numbers change", async () => {
    const tree = slowTree(PFIFO);
    const [root, leaf] = tree.qdiscs;
    if (root === undefined || leaf === undefined) throw new Error("no tree");
    const bands = { ...tree, qdiscs: [{ ...root, args: [...root.args, "r2q", "20"] }, leaf] };
    await expect(expectPacketsToStay(lab, tree, bands)).rejects.toThrow();
    expect(await queueOf(lab, "10:")).toEqual({ sent: 0, waiting: 0 });
  });
});
