import { rehearse as rehearseTarget } from "@sluice/agents/converge/rehearse";
import type { IptablesBackend } from "@sluice/agents/drivers/iptables/tools";
import { iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { runTests } from "@sluice/agents/packets/run-tests";
import { partsWithoutServer } from "@sluice/agents/run/rehearse-command";
import type { ManifestTest } from "@sluice/proto/manifest/manifest";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { rulesOf } from "./workload.ts";

const RULES_PER_FAMILY = 500;
const TESTS = 4;

export const rehearse: Bench = {
  name: "rehearse",
  what: "a rehearsal of 1,000 rules from nothing, against a bare unshare, restore and save of both families; policies' tests apart",
  runs: 10,
  async run(context) {
    const rows: Row[] = [];
    const ratios: Ratio[] = [];
    for (const backend of ["nft", "legacy"] as const) {
      const found = await onBackend(context, backend);
      rows.push(...found.rows);
      ratios.push(...found.ratios);
    }
    const notes = [
      "Sluice: a room, all three drivers read, written and read back, and the room gone",
      "bare: unshare, iptables-restore and ip6tables-restore at once, then both saves at once, and the namespace gone",
      `tests: ${TESTS} packets (tcp dropped and accepted, both families) through the same rules, each on a path of its own, side by side`,
    ];
    return { rows, ratios, notes };
  },
};

async function onBackend(
  context: BenchContext,
  backend: IptablesBackend,
): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  context.progress(backend);
  const parts = partsWithoutServer(backend);
  const target = rulesOf(RULES_PER_FAMILY);
  const first = await rehearseTarget(parts, target);
  if (!first.ok) throw new Error(first.refusal.reason);
  const text = await savedRules(backend);
  const around = { devices: [], deviceTo: async () => undefined };
  const times = await inTurn(context, {
    sluice: () =>
      timeMs(async () => {
        if (!(await rehearseTarget(parts, target)).ok) throw new Error("it was refused");
      }),
    bare: () => timeMs(() => bareRehearsal(backend, text)),
    tests: () =>
      timeMs(async () => {
        const testParts = { backend, drivers: parts.drivers, ...around };
        const results = await runTests(testParts, TEST_PACKETS, target, first.want);
        if (results.some(({ verdict }) => verdict === "unknown")) throw new Error("a test wasn't told");
      }),
  });
  return {
    rows: [
      row(`${backend}: Sluice`, "ms", times.sluice),
      row(`${backend}: bare`, "ms", times.bare),
      row(`${backend}: ${TESTS} tests more`, "ms", times.tests),
    ],
    ratios: [ratio(`${backend}: Sluice / bare`, times.sluice, times.bare, { atMost: 1.3 })],
  };
}

const TEST_PACKETS: readonly ManifestTest[] = ([4, 6] as const).flatMap((family) =>
  [1, 60_000].map((port) => ({
    ...({ protocol: "tcp", hook: "input", state: "new", expect: "accept", family, port } as const),
    from: family === 4 ? "203.0.113.9" : "2001:db8:9::9",
    origin: { policy: "bench", revision: 1 },
  })),
);

/** The same rules as each restore takes them: what a kernel that holds them prints. */
async function savedRules(backend: IptablesBackend): Promise<Record<4 | 6, string>> {
  const target = rulesOf(RULES_PER_FAMILY);
  const parts = partsWithoutServer(backend);
  const iptables = parts.drivers.find(({ name }) => name === "iptables");
  if (iptables === undefined) throw new Error("there is no driver for iptables");
  await using room = await openRehearsal();
  const { build } = iptables.render(target, undefined, await iptables.read(room, target));
  for (const script of build) await iptables.write(room, script);
  await iptables.close(room);
  const [four, six] = await Promise.all([
    raw(room, iptablesTool(backend, 4, "save"), []),
    raw(room, iptablesTool(backend, 6, "save"), []),
  ]);
  return { 4: four, 6: six };
}

async function bareRehearsal(backend: IptablesBackend, text: Record<4 | 6, string>): Promise<void> {
  await using room = await openRehearsal();
  for (const verb of ["restore", "save"] as const)
    await Promise.all(
      ([4, 6] as const).map((family) =>
        raw(room, iptablesTool(backend, family, verb), [], verb === "restore" ? text[family] : undefined),
      ),
    );
}
