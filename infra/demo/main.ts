import { Command } from "commander";
import { holdLab } from "../lab/hold-lab.ts";
import type { Lab } from "../lab/start-lab.ts";
import { unlessAborted, untilAborted } from "../process/abort.ts";
import { createNarrator } from "./narrator.ts";
import { tellStory } from "./story.ts";

const program = new Command("npm run demo --")
  .description("Four servers, four systems, some vandalism and two mistakes, on this machine's own kernel.")
  .option("--once", "end after the story; exit 0 only if every step held")
  .parse();
const { once } = program.opts<{ once?: boolean }>();

print("Sluice: one control service, four servers as network namespaces, real packets.");
// What an interrupted story still waits for must not keep us.
process.exit(
  await holdLab(
    {
      progress: (what) => print(`   starting ${what} …`),
      say: (text) => process.stderr.write(`demo: ${text}\n`),
    },
    tell,
  ),
);

async function tell(lab: Lab, signal: AbortSignal): Promise<number> {
  const narrator = createNarrator(lab.context, process.stdout);
  await unlessAborted(signal, tellStory({ lab, narrator }));
  const held = narrator.claims - narrator.broken.length;
  narrator.chapter(`${held} of ${narrator.claims} claims held`);
  for (const claim of narrator.broken) print(` ✗ ${claim}`);
  if (once !== true) {
    print("The lab stays up: in another terminal, from this checkout, npx sluice server ls");
    print("Ctrl-C ends it.");
    await untilAborted(signal);
  }
  return narrator.broken.length === 0 ? 0 : 1;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
