import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { blockList, startBenchLab } from "./bench-lab.ts";
import { ratio, row } from "./figures.ts";
import { startNatsPeers } from "./nats-peers.ts";
import { commandOf, descendantsOf, nodeFlagsOf, type Usage, usageOf } from "./proc.ts";

const ENTRIES = 10_000;
const WINDOW_MS = 20_000;

/** One process, or a family of them, over one window. */
interface Sample {
  rssMb: number;
  pssMb: number;
  cpuMs: number;
}

export const idle: Bench = {
  name: "idle",
  what: "memory and CPU of the agent with a list of 10,000 in force and nothing to do, against a Node process that only holds a NATS connection",
  runs: 2,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const lab = await startBenchLab(context, owner);
    await blockList(lab, "bench", ENTRIES);
    const agents = lab.agents.map((agent) => agent.pid()).filter((pid) => pid !== undefined);
    const flags = await nodeFlagsOf(agents[0] ?? 0);
    const bare = await startNatsPeers(agents.length, flags, owner);

    const samples = { agent: [] as Sample[], children: [] as Sample[], bare: [] as Sample[] };
    let names: string[] = [];
    // the first window lets them come to rest
    for (let window = 0; window <= context.runs; window++) {
      context.progress(
        `${window === 0 ? "coming to rest" : `window ${window} of ${context.runs}`}, ${WINDOW_MS / 1000} s`,
      );
      const children = await Promise.all(agents.map(descendantsOf));
      const groups = [...agents.map((pid) => [pid]), ...children, ...bare.pids.map((pid) => [pid])];
      const before = await Promise.all(groups.map(usageOf));
      await delay(WINDOW_MS, undefined, { signal: context.signal });
      const after = await Promise.all(groups.map(usageOf));
      if (lab.agents.some((agent, index) => agent.pid() !== agents[index])) throw new Error("an agent ended");
      if (window === 0) continue;
      const seen = after.map((usage, index) => during(before[index], usage));
      samples.agent.push(...seen.slice(0, agents.length));
      samples.children.push(...seen.slice(agents.length, 2 * agents.length));
      samples.bare.push(...seen.slice(2 * agents.length));
      names = await Promise.all((children[0] ?? []).map(commandOf));
    }

    const of = (group: readonly Sample[], what: keyof Sample) => group.map((sample) => sample[what]);
    const { agent, children } = samples;
    const cpu = of(agent, "cpuMs").map((ms, index) => ms + (children[index]?.cpuMs ?? 0));
    return {
      rows: [
        row("agent, RSS", "MB", of(agent, "rssMb")),
        row("agent, PSS", "MB", of(agent, "pssMb")),
        row("its children together, RSS", "MB", of(children, "rssMb")),
        row("its children together, PSS", "MB", of(children, "pssMb")),
        row("bare Node with NATS, RSS", "MB", of(samples.bare, "rssMb")),
        row("bare Node with NATS, PSS", "MB", of(samples.bare, "pssMb")),
        row("agent, CPU in 20 s", "ms", of(agent, "cpuMs")),
        row("its children, CPU in 20 s", "ms", of(children, "cpuMs")),
        row("bare Node with NATS, CPU in 20 s", "ms", of(samples.bare, "cpuMs")),
      ],
      ratios: [
        ratio("RSS: agent / bare Node", of(agent, "rssMb"), of(samples.bare, "rssMb"), { atMost: 1.5 }),
        ratio(
          "CPU of agent and children / time",
          cpu,
          cpu.map(() => WINDOW_MS),
          { atMost: 0.01 },
        ),
      ],
      notes: [
        `four agents and four bare processes in windows of 20 s, ${context.runs} of them; Node's flags: ${flags.join(" ") || "none"}`,
        `children of an agent: ${names.join(", ") || "none"}; what it starts and what ends within a window counts as the agent's CPU`,
        "CPU time is counted by the kernel in steps of 10 ms",
      ],
    };
  },
};

function during(before: Usage | undefined, after: Usage): Sample {
  return { ...after, cpuMs: after.cpuMs - (before?.cpuMs ?? 0) };
}
