import { join } from "node:path";
import { Command } from "commander";
import { buildAgent } from "../build/build-agent.ts";
import { findRunningLab, publishLab, RUN_FOLDER, withdrawLab } from "../lab/lab-file.ts";
import { startLab } from "../lab/start-lab.ts";
import { createNarrator } from "./narrator.ts";
import { tellStory } from "./story.ts";

const program = new Command("npm run demo --")
  .description("Four servers, four systems, some vandalism and two mistakes, on this machine's own kernel.")
  .option("--once", "end after the story; exit 0 only if every step held")
  .parse();
const { once } = program.opts<{ once?: boolean }>();

if ((await findRunningLab()) !== undefined) {
  process.stderr.write("demo: a lab runs from this checkout already; npm run lab -- --down ends it\n");
  process.exit(2);
}
const stop = new AbortController();
const stopped = new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());

process.stdout.write("Sluice: one control service, four servers as network namespaces, real packets.\n");
const lab = await startLab({
  folder: join(RUN_FOLDER, "lab"),
  prefix: "",
  agentProgram: await buildAgent(),
  progress: (what) => process.stdout.write(`   starting ${what} …\n`),
});
try {
  await publishLab(lab.context);
  const narrator = createNarrator(lab.context, process.stdout);
  await Promise.race([tellStory({ lab, narrator }, stop.signal), stopped]);
  const held = narrator.claims - narrator.broken.length;
  narrator.chapter(`${held} of ${narrator.claims} claims held`);
  for (const claim of narrator.broken) process.stdout.write(` ✗ ${claim}\n`);
  process.exitCode = narrator.broken.length === 0 && !stop.signal.aborted ? 0 : 1;
  if (once !== true && !stop.signal.aborted) {
    process.stdout.write(
      "The lab stays up: in another terminal, from this checkout, npx sluice server ls\nCtrl-C ends it.\n",
    );
    await stopped;
    process.exitCode = narrator.broken.length === 0 ? 0 : 1;
  }
} finally {
  await withdrawLab();
  await lab.stop();
}
