import type { TcTree } from "@sluice/proto/manifest/manifest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { driver, htbClass, openTcLabBy, type TcLab } from "../drivers/tc-lab.ts";
import { expectPacketsWait, queueOf, sendPackets } from "../drivers/tc-queue.ts";
import { openGuestNamespace } from "./guest-namespace.ts";
import { onStockKernel } from "./on-stock-kernel.ts";
import { filter, words } from "./tc-kinds.ts";

const PATIENCE_MS = 240_000;

/** A packet in forty seconds: on a busy machine the test takes a minute. */
const RATE = "200bit";

/** Each in two ways, of which the second names all that differs; codel and pie throw away what waits past their target. */
const LEAVES: readonly (readonly [kind: string, first: string, second: string])[] = [
  ["fq_codel", "limit 1000 target 60s memory_limit 1mb", "limit 2000 target 50s memory_limit 1mb"],
  ["codel", "limit 1000 target 60s", "limit 2000 target 50s ecn"],
  ["fq", "limit 1000 flow_limit 100", "limit 2000 flow_limit 200"],
  ["pie", "limit 1000 target 60s", "limit 2000 target 50s"],
  ["cake", "bandwidth 1mbit rtt 60s", "bandwidth 2mbit rtt 60s"],
  ["netem", "limit 1000 delay 100s", "limit 2000 delay 90s"],
  ["prio", "bands 3", "bands 4"],
];

onStockKernel("packets that wait in a leaf", (kernel) => {
  let lab: TcLab;
  beforeAll(async () => {
    lab = await openTcLabBy(() => openGuestNamespace(kernel()), ["eth0"]);
  }, PATIENCE_MS);
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const minorOf = (index: number) => `${index + 1}0`;
  const addressOf = (index: number) => `10.77.0.${20 + index}`;

  /** A slow class for each kind, and one address that leads there. */
  function tree(variant: (kind: string) => 1 | 2): TcTree {
    return {
      qdiscs: [
        { parent: "root", handle: "1:", kind: "htb", args: words("default 0 direct_qlen 1000") },
        ...LEAVES.map((leaf, index) => ({
          ...{ parent: `1:${minorOf(index)}`, handle: `${minorOf(index)}:` },
          ...{ kind: leaf[0], args: words(leaf[variant(leaf[0])]) },
        })),
      ],
      classes: LEAVES.map((_, index) => htbClass("1:", `1:${minorOf(index)}`, RATE)),
      filters: LEAVES.map((_, index) => {
        const match = `match ip dst ${addressOf(index)}/32 flowid 1:${minorOf(index)}`;
        return filter("u32", 1, `800::${index + 1}`, match);
      }),
    };
  }

  async function converge(wanted: TcTree): Promise<string[]> {
    const { target, want, scripts } = await lab.apply([{ device: "eth0", egress: wanted }]);
    expect(driver.diff(target, want, await driver.read(lab.live, target))).toEqual([]);
    return scripts.flatMap(({ text }) => text.trim().split("\n"));
  }

  test(
    "stay over a change of what is named, in every kind that can be changed; what isn't named any more makes it anew",
    async () => {
      await converge(tree(() => 1));
      await sendPackets(
        lab,
        LEAVES.map((_, index) => addressOf(index)),
      );
      for (const index of LEAVES.keys()) await expectPacketsWait(lab, `${minorOf(index)}:`);
      const lines = await converge(tree(() => 2));
      expect(lines.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(
        LEAVES.map(() => "qdisc change"),
      );
      for (const index of LEAVES.keys()) await expectPacketsWait(lab, `${minorOf(index)}:`);

      const back = await converge(tree((kind) => (kind === "codel" ? 1 : 2))); // without its ecn
      expect(back).toEqual([
        expect.stringMatching(/^qdisc del dev eth0 parent 1:20 handle 20:$/),
        expect.stringMatching(/^qdisc add dev eth0 parent 1:20 handle 20: codel /),
      ]);
      expect(await queueOf(lab, "20:")).toEqual({ sent: 0, waiting: 0 });
      await expectPacketsWait(lab, "10:");
    },
    PATIENCE_MS,
  );
});
