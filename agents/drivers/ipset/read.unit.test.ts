import { expect, test } from "vitest";
import type { Namespace } from "../../exec/namespace.ts";
import { testMembers } from "../../lists/test-members.ts";
import type { TargetSet } from "../driver.ts";
import { readIpset } from "./read.ts";

const HEADER = "Name: sl-l-bans-4\nType: hash:net\nHeader: family inet\nNumber of entries: 1\n";

test("a list that is read whole is asked for once the kernel has every delta that came before the look", async () => {
  let kernel = "192.0.2.1";
  const { live, entries } = testMembers([kernel], 4, async () => {
    kernel = "192.0.2.2";
  });
  const at: Pick<Namespace, "name" | "run"> = {
    name: "fake",
    async run(_command, args, { onOutput } = {}) {
      if (args[0] === "list" && onOutput !== undefined)
        onOutput(Buffer.from(`${HEADER}Members:\n${kernel} timeout 0\n`));
      return { code: 0, stdout: HEADER, stderr: "", timedOut: false };
    },
  };
  const set: TargetSet = {
    ...{ name: "sl-l-bans-4", type: "hash:net", family: 4, options: [], entries: [], use: "list" },
    ...{ live, isReadWhole: true },
  };
  const target = { sets: [set], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };
  entries.delete("192.0.2.1");
  entries.set("192.0.2.2");
  const { sets } = await readIpset(at as Namespace, target);
  expect(sets.get(set.name)?.isReadWhole).toBe(true);
  expect(live.look.found()).toMatchObject({ missing: 0, strays: 0 });
});
