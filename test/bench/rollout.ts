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
/** as a server goes through them */
const PHASES = [
  "rehearse",
  "test",
  "preflight",
  "path",
  "journal",
  "apply",
  "verify",
  "probe",
  "confirm",
  "seal",
];

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
    const answered: number[] = [];
    const times = await inTurn(context, {
      sluice: async () => {
        await applyPolicy(lab, policyText(rulesOf(++revision)));
        const begun = performance.now();
        const rollout = await startRollout(lab, POLICY);
        answered.push(performance.now() - begun);
        views.push(await completed(lab, rollout));
        return performance.now() - begun;
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
        row("  of it, until the API answered", "ms", answered.slice(1)),
        ...phasesOf(counted).map(([phase, samples]) => row(`  of it, on a server: ${phase}`, "ms", samples)),
        row(
          "  beside the slowest server's phases",
          "ms",
          counted.map((view, index) => (times.sluice[index] ?? Number.NaN) - slowestMs(view)),
        ),
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

/** Of every server of every rollout. */
function phasesOf(views: readonly RolloutView[]): [string, number[]][] {
  const stats = views.flatMap(({ servers }) => servers.map((server) => server.stats?.phasesMs ?? {}));
  const names = new Set([...PHASES, ...stats.flatMap(Object.keys)]);
  return [...names]
    .map((name): [string, number[]] => [
      name,
      stats.map((phases) => phases[name]).filter((ms) => ms !== undefined),
    ])
    .filter(([, samples]) => samples.length > 0);
}

function slowestMs({ servers }: RolloutView): number {
  const sums = servers.map(({ stats }) =>
    Object.values(stats?.phasesMs ?? {}).reduce((sum, ms) => sum + ms, 0),
  );
  return Math.max(...sums);
}
