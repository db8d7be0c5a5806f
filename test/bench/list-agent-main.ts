import { readFile } from "node:fs/promises";
import { connect } from "@nats-io/transport-node";
import { rememberChildren } from "@sluice/agents/drift/own-children";
import type { Target, TargetSet } from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createSetHeaders } from "@sluice/agents/drivers/ipset/headers";
import { type IptablesBackend, iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { createAgentLink } from "@sluice/agents/link/agent-link";
import { identity } from "@sluice/agents/link/identity";
import { createListDuty } from "@sluice/agents/run/list-duty";
import { openStateFolder, stateFolder } from "@sluice/agents/state/state-folder";
import { listSet } from "@sluice/proto/base/names";
import { raw } from "./raw.ts";
import { NOTHING } from "./workload.ts";

/**
 * The agent's way of a list's delta, from NATS into the kernel of a namespace of its own: `list-agent-main.ts FOLDER
 * BACKEND`. Says `bench.done` once the kernel has it.
 */
const [folder = "", word] = process.argv.slice(2);
const backend: IptablesBackend = word === "legacy" ? "legacy" : "nft";
const me = identity.parse(JSON.parse(await readFile(`${folder}/identity.json`, "utf8")));
await using ns = await openRehearsal();
const live = rememberChildren(ns);
const connection = await connect({ servers: me.nats.urls });
const driver = createIpsetDriver();
const set: TargetSet = {
  name: listSet("bench", 4),
  type: "hash:net",
  family: 4,
  options: ["timeout", "0"],
  entries: [],
  use: "list",
};
/** the same array each time: another one would mean that it has changed */
const PROTECTED = ["192.0.2.1"];
const rule = `-m set --match-set ${set.name} src -j DROP`;
const target: Target = {
  ...NOTHING,
  sets: [set],
  chains: [{ family: 4, table: "raw", name: "SL-PREROUTING", rules: [{ args: rule }] }],
};

const link = await createAgentLink(
  {
    ...{ identity: me, spoolFolder: `${folder}/spool`, witnessFile: stateFolder(folder).witness },
    newId: () => "bench",
    now: () => new Date(),
  },
  {
    onDesired: () => undefined,
    onPlan: () => undefined,
    onAsk: async () => ({ ok: false, reason: "this is a benchmark" }),
    onControlPulse: () => undefined,
  },
);
const { store } = createListDuty(
  {
    live,
    setHeaders: createSetHeaders(live),
    log: () => undefined,
    state: await openStateFolder(folder),
    clock: { nowMs: () => performance.now(), uptimeMs: () => performance.now(), wall: () => new Date() },
    drivers: [
      {
        ...driver,
        async write(at, script) {
          await driver.write(at, script);
          connection.publish("bench.done");
        },
      },
    ],
  },
  { link, target: () => target, protect: () => PROTECTED },
);
await store.use([{ list: "bench", sets: [{ name: set.name, family: 4 }] }]);
const filled: Target = { ...NOTHING, sets: [{ ...set, live: store.members(set.name) }] };
for (const script of driver.render(filled, undefined, { sets: new Map() }).build)
  await driver.write(live, script);
const tool = iptablesTool(backend, 4);
await raw(ns, tool, ["-t", "raw", "-A", "PREROUTING", ...rule.split(" ")]);
await connection.flush();
process.stderr.write("ready\n");
process.stdin.resume();
await new Promise((resolve) => process.stdin.once("end", resolve));
