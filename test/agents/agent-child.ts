/**
 * An agent in a process of its own, to be killed or stopped: `agent-child.ts '{…ChildOptions}'`, inside the namespace it
 * serves, with control played here. Prints a line as each step begins, as each manifest is held, and for each report.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { liveNamespace } from "@sluice/agents/exec/live-namespace";
import { startAgent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { createLook } from "@sluice/agents/run/look";
import { lockState } from "@sluice/agents/state/lock";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { manifest } from "@sluice/proto/manifest/manifest";
import { z } from "zod";
import { createFakeControl, SERVER } from "./fake-link.ts";

const childOptions = z.strictObject({
  folder: z.string(),
  backend: z.enum(["nft", "legacy"]).default("nft"),
  /** issued one after the other; before each but the first it waits for a line on stdin */
  manifests: z.array(manifest).default([]),
  /** of the first of them */
  generation: z.int().default(1),
  /** where the last change waits for a line on stdin: the step's name, and its how-manieth time */
  stopAt: z.strictObject({ step: z.string(), time: z.int().default(1) }).optional(),
  /** what control says to the last change, after its preflight */
  answer: z.enum(["yes", "no", "silence"]).default("silence"),
});
export type ChildOptions = z.input<typeof childOptions>;

const options = childOptions.parse(JSON.parse(process.argv[2] ?? "{}"));
const lines = createInterface({ input: process.stdin });
const control = createFakeControl();
let armed = false;
let times = 0;

const env = agentEnvironment();
const live = liveNamespace({ env });
const look = createLook({ live, version: "0.0.0-test", control: ["192.0.2.1:4222"] });
const state = await openStateFolder(options.folder);
lockState(options.folder);
await startAgent({
  state,
  live,
  env,
  backend: options.backend,
  log: () => undefined,
  server: SERVER,
  connect: control.connect,
  known: await look(),
  look,
  async at(step) {
    console.log(`step ${step}`);
    if (!armed || step !== options.stopAt?.step) return;
    times += 1;
    if (times !== options.stopAt.time) return;
    console.log(`stopped at ${step}`);
    await once(lines, "line");
  },
});
console.log(`mark ${env.SLUICE_AGENT_RUN}`);
let told = 0;
setInterval(() => {
  for (const report of control.reports.slice(told)) console.log(`report ${JSON.stringify(report)}`);
  told = control.reports.length;
}, 10);

for (const [index, one] of options.manifests.entries()) {
  armed = index === options.manifests.length - 1;
  if (armed) control.confirm = confirm;
  control.issue(one, options.generation + index);
  if (armed) break;
  await waitUntil("the outcome", 120_000, () => control.outcomes().length > index);
  console.log(`held ${options.generation + index}`);
  await once(lines, "line");
}

async function confirm({ phase }: { phase: string }) {
  if (phase === "preflight" || options.answer === "yes") return { ok: true } as const;
  if (options.answer === "no") return { ok: false, reason: "no" } as const;
  return await new Promise<never>(() => undefined);
}
