/**
 * Inside of a stock kernel: shapes eth0 by hand, imports it, and has an agent of its own adopt it, mend it, and be
 * uninstalled. `adopting-child.ts '{…HandMade}'` says where it is, and at its end what it saw.
 */
import { createOpenRoom } from "@sluice/agents/converge/rehearsal-room";
import { liveNamespace } from "@sluice/agents/exec/live-namespace";
import { startAgent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { createLook } from "@sluice/agents/run/look";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { z } from "zod";
import { createFakeControl, SERVER } from "../agents/fake-link.ts";
import { importedWith } from "../beside/imported.ts";
import { hearTcWrites, type StandingTc, sendPackets, standingTc } from "../beside/standing-tc.ts";

const handMade = z.strictObject({
  /** lines for a shell */
  lines: z.array(z.string()),
  /** a command that sends packets once it is adopted */
  sends: z.string(),
  /** what somebody does to it then */
  vandal: z.string(),
});
export type HandMade = z.input<typeof handMade>;

export interface Adopted {
  text: string;
  left: readonly { what: string; why: string }[];
  outcomes: unknown[];
  /** by moment; `before`: before the agent was there */
  standing: Record<string, StandingTc>;
  /** on eth0, heard up to the first drift */
  writes: string[];
  drifts: string[];
}

const WAIT_MS = 600_000;
const env = agentEnvironment();
const live = liveNamespace({ env });

async function sh(command: string): Promise<string> {
  const { code, stdout, stderr } = await live.run("sh", ["-c", command]);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

const { lines, sends, vandal } = handMade.parse(JSON.parse(process.argv[2] ?? "{}"));
const known = await createLook({ live, version: "0", control: ["192.0.2.1:4222"], backend: "legacy" })();
const openRoom = createOpenRoom("legacy", () => known.facts.devices);
await sh(lines.join(" && "));
await sendPackets(sh);
const standing: Adopted["standing"] = {};
await look("before");
const heard = await hearTcWrites(sh, ["tc", "monitor"]);
const { text, left, compiledIn } = await importedWith({
  live,
  backend: "legacy",
  openRoom,
  facts: known.facts,
});
const control = createFakeControl();
const state = await openStateFolder("/var/lib/sluice");
const agent = await startAgent({
  ...{ state, live, env, backend: "legacy", server: SERVER, connect: control.connect },
  known,
  look: async () => known,
  log: () => undefined,
});
control.issue({ ...compiledIn("enforce"), deadlineMs: WAIT_MS }, 1);
await waitUntil("the outcome", WAIT_MS, () => control.outcomes().length > 0);
await waitUntil("the agent at rest", WAIT_MS, () => agent.status().state !== "applying");
console.log(JSON.stringify(control.outcomes()));
await look("adopted");
await sh(sends);
await look("sent");
const writes = await heard();
await sh(vandal);
await waitUntil(`drift by ${vandal}`, WAIT_MS, () => control.drifts().length > 0);
await waitUntil("the mend", WAIT_MS, async () => (await standingTc(sh)).text === standing.before?.text);
await agent.close();
await uninstall(state, live);
await look("uninstalled");
const drifts = control
  .drifts()
  .flatMap(({ differences }) => differences.map(({ kind, object }) => `${kind} ${object}`));
const adopted: Adopted = { text, left, outcomes: control.outcomes(), standing, writes, drifts };
console.log(`adopted ${JSON.stringify(adopted)}`);
process.exit(0);

async function look(moment: string): Promise<void> {
  console.log(moment);
  standing[moment] = await standingTc(sh);
}
