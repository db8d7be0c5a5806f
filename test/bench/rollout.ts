import type { Namespace } from "@sluice/agents/exec/namespace";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import type { RolloutView } from "@sluice/proto/api/rollouts";
import type { Bench } from "./bench.ts";
import { applyPolicy, completed, startBenchLab, startRollout } from "./bench-lab.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";

const POLICY = "bench";
const RULES = 100;

export const rollout: Bench = {
  name: "rollout",
  what: "100 rules rolled out to four servers, enforced, confirmed and recorded, against bare restores of the same rules in four namespaces",
  runs: 10,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const lab = await startBenchLab(context, owner);
    const namespaces: Namespace[] = [];
    for (const _ of lab.agents) namespaces.push(owner.use(await openRehearsal()));

    context.progress(`${context.runs + 1} rollouts`);
    let revision = 0;
    const views: RolloutView[] = [];
    const times = await inTurn(context, {
      sluice: async () => {
        await applyPolicy(lab, policyText(rulesOf(++revision)));
        return await timeMs(async () => views.push(await completed(lab, await startRollout(lab, POLICY))));
      },
      bare: () => {
        const input = restoreText(rulesOf(revision));
        return timeMs(() =>
          Promise.all(
            namespaces.map(async (ns) => {
              await raw(ns, "iptables-restore", ["--noflush"], input);
              await raw(ns, "ip6tables-restore", ["--noflush"], input);
            }),
          ),
        );
      },
    });
    const counted = views.slice(1);
    return {
      rows: [
        row("rollout started → completed", "ms", times.sluice),
        ...phasesOf(counted).map(([phase, samples]) => row(`  of it, on a server: ${phase}`, "ms", samples)),
        row("bare restores, four namespaces at once", "ms", times.bare),
      ],
      ratios: [ratio("rollout / bare restores", times.sluice, times.bare)],
      notes: [
        `each time all ${RULES} rules are new, in both families; the revision is stored before the clock starts`,
        "a rollout also compiles, signs, rehearses, journals an undo, verifies, tries connections both ways and records; restore does none of that",
        "four agents, control, broker and database share the cores of one machine",
      ],
    };
  },
};

function rulesOf(revision: number): string[] {
  return Array.from({ length: RULES }, (_, index) => {
    const port = 10_000 + (revision % 50) * RULES + index;
    return index % 2 === 0
      ? `-p tcp --dport ${port} -m conntrack --ctstate NEW -j REJECT`
      : `-p udp --dport ${port} -j DROP`;
  });
}

function policyText(rules: readonly string[]): string {
  const lines = rules.map((args) => `      - ${args}`);
  return [
    `policy: ${POLICY}`,
    'targets: { servers: ["*"] }',
    "firewall:",
    "  filter:",
    "    INPUT:",
    ...lines,
    "reach: [tcp/22]",
    "",
  ].join("\n");
}

function restoreText(rules: readonly string[]): string {
  return ["*filter", ":BENCH - [0:0]", ...rules.map((args) => `-A BENCH ${args}`), "COMMIT", ""].join("\n");
}

/** Each server's each phase, in the order in which a server goes through them. */
function phasesOf(views: readonly RolloutView[]): [string, number[]][] {
  const phases = new Map<string, number[]>();
  for (const { servers } of views) {
    for (const { stats } of servers) {
      for (const [phase, ms] of Object.entries(stats?.phasesMs ?? {})) {
        phases.set(phase, [...(phases.get(phase) ?? []), ms]);
      }
    }
  }
  return [...phases];
}
