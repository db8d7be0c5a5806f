import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { RehearsedView } from "@sluice/proto/api/tests";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { type Manifest, manifest } from "@sluice/proto/manifest/manifest";
import { createOpenRoom } from "../converge/rehearsal-room.ts";
import { type RehearseParts, rehearse } from "../converge/rehearse.ts";
import { targetOf } from "../converge/target.ts";
import { createIpsetDriver } from "../drivers/ipset/driver.ts";
import { createIptablesDriver } from "../drivers/iptables/driver.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import { createTcDriver } from "../drivers/tc/driver.ts";
import { liveNamespace } from "../exec/live-namespace.ts";
import { openRehearsal } from "../exec/rehearsal-namespace.ts";
import { probeFacts } from "../facts/probe-facts.ts";
import { probeIptables } from "../facts/probe-iptables.ts";
import { runTests } from "../packets/run-tests.ts";
import type { Answer } from "./answer.ts";
import { agentVersion } from "./version.ts";

/** What this machine is and what its kernel takes, as an agent reports it. */
export async function factsCommand(): Promise<Answer> {
  const facts = await probeFacts({ live: liveNamespace(), agent: agentVersion() });
  return { code: 0, text: JSON.stringify(facts, undefined, 2), value: facts };
}

/**
 * A manifest, rehearsed and tested on this kernel as on a server that has nothing yet: no agent, no state, no addresses of
 * its own. Nothing outside of throw-away namespaces is looked at.
 */
export async function rehearseCommand(file: string): Promise<Answer> {
  const found = await readManifest(file);
  const backend = await backendHere();
  const parts = partsWithoutServer(backend);
  const target = targetOf(found, { protect: [], control: [] }, () => undefined);
  const rehearsed = await rehearse(parts, target);
  if (!rehearsed.ok) {
    const view: RehearsedView = { ok: false, refusal: rehearsed.refusal, tests: [] };
    return { code: 2, text: `refused: ${rehearsed.refusal.reason}`, value: view };
  }
  const around = { devices: [], deviceTo: async () => undefined };
  const testParts = { backend, drivers: parts.drivers, ...around };
  const tests = await runTests(testParts, found.tests ?? [], target, rehearsed.want);
  const ok = tests.every(({ verdict, expect }) => verdict === expect);
  const lines = tests.map(({ packet, expect, verdict }) => `${packet}: expected ${expect}, ${verdict}`);
  return {
    code: ok ? 0 : 3,
    text: ["this kernel takes it", ...lines].join("\n"),
    value: { ok, tests } satisfies RehearsedView,
  };
}

async function readManifest(file: string): Promise<Manifest> {
  try {
    const content = await (file === "-" ? text(process.stdin) : readFile(file, "utf8"));
    return manifest.parse(JSON.parse(content));
  } catch (error) {
    throw new SluiceError("INVALID", `${file === "-" ? "stdin" : file} is no manifest: ${messageOf(error)}`);
  }
}

async function backendHere(): Promise<IptablesBackend> {
  await using room = await openRehearsal();
  return (await probeIptables(room)).iptables.backend;
}

/** What rehearses where there is no server. */
export function partsWithoutServer(backend: IptablesBackend): RehearseParts {
  return {
    drivers: [createIpsetDriver(), createIptablesDriver({ backend }), createTcDriver()],
    openRoom: createOpenRoom(backend, () => []),
  };
}
