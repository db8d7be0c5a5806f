import { interruption } from "@sluice/infra/process/interruption";
import { messageOf } from "@sluice/proto/base/errors";
import { Command, InvalidArgumentError } from "commander";
import type { Bench, BenchResult } from "./bench.ts";
import { BENCHES } from "./benches.ts";
import { describeMachine } from "./machine.ts";
import { renderMachine, renderResult } from "./render.ts";

/**
 * Results go to stdout, as text or as one line of JSON; what is going on goes to stderr. Exit codes: 0 measured (an aim
 * may have been missed), 1 a benchmark failed, 2 there is none of that name, 130 Ctrl-C.
 */
const program = new Command("npm run bench --")
  .description("Measures Sluice against the raw limit, or a peer, in the same run.")
  .argument("[names...]", "which ones; all unless said")
  .option("--list", "tell what there is")
  .option("--json", "one line of JSON instead of text")
  .option("--runs <n>", "pairs of samples; each benchmark has its own number otherwise", count)
  .showHelpAfterError()
  .parse();

const options = program.opts<{ list?: boolean; json?: boolean; runs?: number }>();
const chosen = choose(program.args);
if (options.list) for (const { name, what } of BENCHES) print(`${name.padEnd(12)} ${what}`);
else await runAll(chosen);

async function runAll(benches: readonly Bench[]): Promise<void> {
  const signal = interruption(() => say("stopping; what was started is being taken away"));
  const machine = describeMachine();
  if (!options.json) print(`${renderMachine(machine)}\n`);
  const results: BenchResult[] = [];
  const failed: { name: string; reason: string }[] = [];
  for (const bench of benches) {
    const { name, what, runs } = bench;
    if (signal.aborted) break;
    try {
      const findings = await bench.run({
        runs: options.runs ?? runs,
        signal,
        progress: (text) => say(`${name}: ${text}`),
      });
      const result = { name, what, ...findings };
      results.push(result);
      if (!options.json) print(renderResult(result));
    } catch (error) {
      if (signal.aborted) break;
      failed.push({ name, reason: messageOf(error) });
      say(`${name} failed: ${messageOf(error)}`);
    }
  }
  if (options.json) print(JSON.stringify({ machine, results, failed }));
  process.exitCode = signal.aborted ? 130 : failed.length > 0 ? 1 : 0;
}

function choose(names: readonly string[]): Bench[] {
  const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    say(
      `no benchmark is named ${unknown.join(", ")}; there are ${BENCHES.map(({ name }) => name).join(", ")}`,
    );
    process.exit(2);
  }
  return BENCHES.filter(({ name }) => names.length === 0 || names.includes(name));
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("a count from 1 on");
  return value;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
