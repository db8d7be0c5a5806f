import { withReleased } from "@sluice/agents/drivers/tc/foreign";
import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";
import fc from "fast-check";
import { expect, test } from "vitest";
import { driver, openTcLab, rehearse, type TcLab, targetOf } from "./tc-lab.ts";
import { htbTree } from "./tc-trees.ts";

const RUNS = 12;

test("any way from tree to tree ends in the kernel that the last tree makes from nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(htbTree, { minLength: 2, maxLength: 4 }), async (trees) => {
      await using lab = await openTcLab("eth0");
      for (const tree of trees) await arrives(lab, [{ device: "eth0", egress: tree }]);
    }),
    { numRuns: RUNS },
  );
}, 120_000);

test("the same holds for incoming traffic, and giving it back leaves nothing", async () => {
  await fc.assert(
    fc.asyncProperty(htbTree, htbTree, async (first, second) => {
      await using lab = await openTcLab("eth0");
      const bare = await lab.tc("qdisc show");
      for (const tree of [first, second]) await arrives(lab, incoming(tree));
      await lab.apply(withReleased([], incoming(second)));
      expect(await lab.tc("qdisc show")).toBe(bare);
    }),
    { numRuns: RUNS / 2 },
  );
}, 120_000);

test("tearing all down and building it again, whatever stands, ends in the same kernel", async () => {
  await fc.assert(
    fc.asyncProperty(htbTree, htbTree, async (standing, wanted) => {
      await using lab = await openTcLab("eth0");
      await lab.apply([{ device: "eth0", egress: standing }]);
      const target = targetOf([{ device: "eth0", egress: wanted }]);
      const { build } = driver.render(target, undefined, await driver.read(lab.live, target));
      for (const script of build) await driver.write(lab.live, script);
      const have = await driver.read(lab.live, target);
      expect(driver.diff(target, await rehearse(target), have)).toEqual([]);
    }),
    { numRuns: RUNS / 2 },
  );
}, 120_000);

function incoming(tree: TcTree): ManifestDevice[] {
  return [{ device: "eth0", ingress: { ifb: "slifb-eth0", tree } }];
}

/** One apply is enough, the rehearsal itself made what was asked, and nothing is left to write. */
async function arrives(lab: TcLab, devices: readonly ManifestDevice[]): Promise<void> {
  const { target, want } = await lab.apply(devices);
  const have = await driver.read(lab.live, target);
  expect(driver.diff(target, want, want)).toEqual([]);
  expect(driver.diff(target, want, have)).toEqual([]);
  const again = driver.render(target, want, have);
  expect([...again.build, ...again.remove]).toEqual([]);
}
