import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitUntil } from "../../process/wait-until.ts";
import { ruleCounters, setEntries } from "../kernel.ts";
import { knock, tryConnection } from "../knock.ts";
import { policyFile } from "../policy-file.ts";
import type { Stage } from "../stage.ts";

const BLOCKED = 10_000;
const AMONG_THEM = "198.18.4.7";
const NEXT = "203.0.113.77";
const SET = "sl-l-blocklist-4";

/** Ten thousand addresses, one rule; one more address reaches four kernels at once. */
export async function massBlock({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter(`Mass blocking: ${BLOCKED} addresses, one rule`);
  const client = lab.fabric.host("client");
  for (const address of [AMONG_THEM, NEXT]) await lab.fabric.addAddress(client, `${address}/32`);
  const file = join(lab.folder, "blocklist.txt");
  const addresses = Array.from(
    { length: BLOCKED },
    (_, n) => `198.18.${Math.floor(n / 250)}.${(n % 250) + 1}`,
  );
  await writeFile(file, `# one address a line\n${addresses.join("\n")}\n`);

  await narrator.sluice("list", "create", "blocklist", "--reason", "known bad");
  await narrator.sluice("list", "add", "blocklist", "-f", file, "--reason", "from the feed");
  await narrator.sluice("policy", "apply", "-f", policyFile("mass-block"), "--reason", "drop them early");
  const rollout = await narrator.sluice("rollout", "start", "mass-block", "--reason", "drop them early");
  narrator.claim("rolled out to four servers", rollout.code === 0, `exit ${rollout.code}`);

  for (const host of lab.fabric.servers) {
    await waitUntil(
      `${BLOCKED} entries on ${host.name}`,
      20_000,
      async () => (await setEntries(host.namespace, SET)) >= BLOCKED,
    );
    const rules = await ruleCounters(host.namespace, "raw", `--match-set ${SET} src`);
    const entries = await setEntries(host.namespace, SET);
    narrator.claim(
      `${host.name} holds them all behind one rule`,
      entries === BLOCKED && rules.length === 1,
      `${entries} entries, ${rules.length} rule`,
    );
    await knock(lab, narrator, { host, port: 22, from: AMONG_THEM, expect: "timeout", why: "on the list" });
    await knock(lab, narrator, {
      host,
      port: 80,
      from: NEXT,
      expect: "accepted",
      why: "not on the list yet",
    });
  }

  const added = await narrator.sluice(
    "list",
    "add",
    "blocklist",
    NEXT,
    "--for",
    "1h",
    "--reason",
    "seen scanning",
  );
  narrator.claim("one address added", added.code === 0, `exit ${added.code}`);
  for (const host of lab.fabric.servers) {
    await knock(lab, narrator, { host, port: 80, from: NEXT, expect: "timeout", why: "just added" });
  }
  await narrator.sluice("list", "rm", "blocklist", NEXT, "--reason", "it was ours");
  for (const host of lab.fabric.servers) {
    await waitUntil(
      "the way back in",
      5_000,
      async () => (await tryConnection(lab, { host, port: 80, from: NEXT })).outcome === "accepted",
    );
    await knock(lab, narrator, { host, port: 80, from: NEXT, expect: "accepted", why: "removed again" });
  }
}
