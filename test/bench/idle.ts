import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "@sluice/infra/lab/start-lab";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { addToList, blockList, startBenchLab, untilHeld } from "./bench-lab.ts";
import { ratio, row } from "./figures.ts";
import { startNatsPeers } from "./nats-peers.ts";
import { commandOf, descendantsOf, nodeFlagsOf, type Usage, usageOf } from "./proc.ts";
import { addresses } from "./workload.ts";

const LIST = "bench";
const REST_MS = 10_000;
const WINDOW_MS = 20_000;

/** One process, or a family of them, over one window. */
interface Sample {
  rssMb: number;
  pssMb: number;
  cpuMs: number;
}

interface Samples {
  agent: Sample[];
  children: Sample[];
  bare: Sample[];
}

interface Stage {
  name: string;
  entries: number;
  rss: { times: number } | { mb: number };
  /** what goes on meanwhile; nothing unless said */
  meanwhile?(lab: Lab, signal: AbortSignal): Promise<void>;
}

const STAGES: readonly Stage[] = [
  { name: "list of 10", entries: 10, rss: { times: 1.2 } },
  { name: "list of 100,000", entries: 100_000, rss: { mb: 65 } },
  { name: "list of 1,000,000", entries: 1_000_000, rss: { mb: 110 } },
  { name: "1,000,000, full checks without end", entries: 1_000_000, rss: { mb: 110 }, meanwhile: checkOn },
];

export const idle: Bench = {
  name: "idle",
  what: "memory and CPU of the agent with lists of several sizes in force and nothing to do, against a Node process that only holds a NATS connection",
  runs: 2,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const lab = await startBenchLab(context, owner, { servers: 1 });
    const [agent] = lab.agents;
    if (agent === undefined) throw new Error("there is no agent");
    const flags = await nodeFlagsOf(agent.pid() ?? 0);
    const bare = await startNatsPeers(1, flags, owner);
    // as after any start but the first, which also enrols
    await agent.down();
    agent.start();
    const rows: Row[] = [];
    const ratios: Ratio[] = [];
    let held = 0;
    let names: string[] = [];
    for (const stage of STAGES) {
      context.progress(stage.name);
      if (held === 0) await blockList(lab, LIST, stage.entries);
      else await addToList(lab, LIST, addresses(stage.entries).slice(held));
      await untilHeld(lab, LIST, stage.entries);
      held = stage.entries;
      const pid = agent.pid() ?? 0;
      const samples = await watch(context, lab, stage, { agent: pid, bare: bare.pids });
      if (agent.pid() !== pid) throw new Error("the agent ended");
      const figures = figuresOf(stage, samples);
      rows.push(...figures.rows);
      ratios.push(...figures.ratios);
      names = await Promise.all((await descendantsOf(pid)).map(commandOf));
    }
    return {
      rows,
      ratios,
      notes: [
        `after ${REST_MS / 1000} s of rest, in ${context.runs} windows of ${WINDOW_MS / 1000} s; one agent and one bare process, Node's flags: ${flags.join(" ") || "none"}`,
        `children of the agent: ${names.join(", ") || "none"}; what it starts and what ends within a window counts as the agent's CPU`,
        "the agent was started again after its enrolment",
        "CPU time is counted by the kernel in steps of 10 ms",
      ],
    };
  },
};

async function watch(
  context: BenchContext,
  lab: Lab,
  stage: Stage,
  pids: { agent: number; bare: readonly number[] },
): Promise<Samples> {
  const samples: Samples = { agent: [], children: [], bare: [] };
  const over = new AbortController();
  const meanwhile = stage.meanwhile?.(lab, over.signal);
  try {
    await delay(REST_MS, undefined, { signal: context.signal });
    for (let window = 1; window <= context.runs; window++) {
      const groups = [[pids.agent], await descendantsOf(pids.agent), pids.bare];
      const before = await Promise.all(groups.map(usageOf));
      await delay(WINDOW_MS, undefined, { signal: context.signal });
      const after = await Promise.all(groups.map(usageOf));
      const [agent, children, bare] = after.map((usage, index) => during(before[index], usage));
      if (agent) samples.agent.push(agent);
      if (children) samples.children.push(children);
      if (bare) samples.bare.push(bare);
    }
  } finally {
    over.abort();
    await meanwhile;
  }
  return samples;
}

function figuresOf(
  { name, rss, meanwhile }: Stage,
  { agent, children, bare }: Samples,
): { rows: Row[]; ratios: Ratio[] } {
  const of = (group: readonly Sample[], what: keyof Sample) => group.map((sample) => sample[what]);
  const cpu = of(agent, "cpuMs").map((ms, index) => ms + (children[index]?.cpuMs ?? 0));
  const memory = of(agent, "rssMb");
  const rssRatio =
    "times" in rss
      ? ratio(`${name}: RSS / bare Node`, memory, of(bare, "rssMb"), { atMost: rss.times })
      : ratio(
          `${name}: RSS / ${rss.mb} MB`,
          memory,
          memory.map(() => rss.mb),
          { atMost: 1 },
        );
  const cpuRatio = ratio(
    `${name}: CPU of agent and children / time`,
    cpu,
    cpu.map(() => WINDOW_MS),
    meanwhile === undefined ? { atMost: 0.002 } : undefined,
  );
  return {
    rows: [
      row(`${name}: agent, RSS`, "MB", memory),
      row(`${name}: agent, PSS`, "MB", of(agent, "pssMb")),
      row(`${name}: its children together, RSS`, "MB", of(children, "rssMb")),
      row(`${name}: bare Node with NATS, RSS`, "MB", of(bare, "rssMb")),
      row(`${name}: CPU in ${WINDOW_MS / 1000} s`, "ms", cpu),
    ],
    ratios: [rssRatio, cpuRatio],
  };
}

/** Asks for one look at everything after the other. */
async function checkOn(lab: Lab, signal: AbortSignal): Promise<void> {
  const [server] = lab.fabric.servers;
  while (server !== undefined && !signal.aborted)
    await lab.client.drift.repair.mutate({ server: server.name, reason: "to be measured" });
}

function during(before: Usage | undefined, after: Usage): Sample {
  return { ...after, cpuMs: after.cpuMs - (before?.cpuMs ?? 0) };
}
