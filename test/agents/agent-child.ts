/**
 * An agent in a process of its own, to be killed: `agent-child.ts STATE MANIFEST GENERATION`, inside the namespace it
 * serves. Control (played here) says yes to the preflight and then nothing. Prints a line as each step begins, and each
 * report.
 */
import { readFileSync } from "node:fs";
import { liveNamespace } from "@sluice/agents/exec/live-namespace";
import { startAgent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { createLook, isProtected } from "@sluice/agents/run/look";
import { lockState } from "@sluice/agents/state/lock";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { manifest } from "@sluice/proto/manifest/manifest";
import { createFakeControl, SERVER } from "./fake-link.ts";

const [folder = "", manifestFile = "", generation = "1"] = process.argv.slice(2);
const control = createFakeControl();
control.confirm = ({ phase }) =>
  phase === "preflight" ? Promise.resolve({ ok: true }) : new Promise(() => undefined);

const env = agentEnvironment();
const live = liveNamespace({ env });
const look = createLook({ live, version: "0.0.0-test", control: ["192.0.2.1:4222"] });
const state = await openStateFolder(folder);
lockState(folder);
await startAgent({
  state,
  live,
  env,
  backend: "nft",
  log: () => undefined,
  server: SERVER,
  connect: control.connect,
  known: await look(),
  look,
  isProtected,
  at: (step) => console.log(`step ${step}`),
});
if (manifestFile !== "")
  control.issue(manifest.parse(JSON.parse(readFileSync(manifestFile, "utf8"))), Number(generation));
let told = 0;
setInterval(() => {
  for (const report of control.reports.slice(told)) console.log(`report ${JSON.stringify(report)}`);
  told = control.reports.length;
}, 10);
