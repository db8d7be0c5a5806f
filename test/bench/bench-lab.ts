import { join } from "node:path";
import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { buildAgent } from "@sluice/infra/build/build-agent";
import { buildControl } from "@sluice/infra/build/build-control";
import { type Lab, startLab } from "@sluice/infra/lab/start-lab";
import { environmentIn } from "@sluice/infra/net/namespace";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { LIST_CHANGE_MAX } from "@sluice/proto/api/lists";
import type { RolloutView } from "@sluice/proto/api/rollouts";
import { listSet } from "@sluice/proto/base/names";
import type { BenchContext } from "./bench.ts";
import { raw } from "./raw.ts";
import { addresses } from "./workload.ts";

const PATIENCE_MS = 60_000;
const REASON = "to be measured";

/** A lab of this benchmark's own, in namespaces of unique names. */
export async function startBenchLab(
  context: BenchContext,
  owner: AsyncDisposableStack,
  { servers = 4 } = {},
): Promise<Lab> {
  context.progress(`starting a lab of ${servers} ${servers === 1 ? "server" : "servers"}`);
  const folder = owner.use(makePrivateDirectory("bench"));
  const programs = { agentProgram: await buildAgent(), controlProgram: await buildControl() };
  const { signal } = context;
  return owner.use(await startLab({ folder: join(folder.path, "lab"), ...programs, signal, servers }));
}

/** A list of so many addresses, blocked on every server by a policy of its own; returns the kernel's set. */
export async function blockList(lab: Lab, list: string, entries: number): Promise<string> {
  await lab.client.lists.create.mutate({ list, reason: REASON });
  await addToList(lab, list, addresses(entries));
  const text = `policy: ${list}\ntargets: { servers: ["*"] }\nblocks: [${list}]\nreach: [tcp/22]\n`;
  await applyPolicy(lab, text);
  await completed(lab, await startRollout(lab, list));
  return await untilHeld(lab, list, entries);
}

/** As many calls as it takes. */
export async function addToList(lab: Lab, list: string, add: readonly string[]): Promise<void> {
  for (let from = 0; from < add.length; from += LIST_CHANGE_MAX)
    await lab.client.lists.change.mutate({
      list,
      add: add.slice(from, from + LIST_CHANGE_MAX),
      reason: REASON,
    });
}

/** Returns the kernel's set, once it holds so many on every server. */
export async function untilHeld(lab: Lab, list: string, entries: number): Promise<string> {
  const set = listSet(list, 4);
  for (const server of serverNamespaces(lab)) {
    await waitUntil(`${entries} entries in ${server.name}`, PATIENCE_MS + entries, async () =>
      (await raw(server, "ipset", ["list", "-t", set])).includes(`Number of entries: ${entries}\n`),
    );
  }
  return set;
}

/** The servers' namespaces, for looking into them from outside. */
export function serverNamespaces(lab: Lab): Namespace[] {
  return lab.fabric.servers.map(({ namespace }) => {
    const lockFile = environmentIn(namespace).XTABLES_LOCKFILE ?? "";
    return namedNamespace(namespace, { env: { XTABLES_LOCKFILE: lockFile } });
  });
}

export async function applyPolicy(lab: Lab, text: string): Promise<void> {
  await lab.client.policies.revise.mutate({ files: [{ name: "bench.yaml", text }], reason: REASON });
}

export async function startRollout(lab: Lab, policy: string): Promise<string> {
  const { rollout } = await lab.client.rollouts.start.mutate({ policy, reason: REASON });
  return rollout;
}

/** The rollout at its end; throws where it wasn't completed. */
export async function completed(lab: Lab, rollout: string): Promise<RolloutView> {
  const { promise, resolve, reject } = Promise.withResolvers<RolloutView>();
  let last: RolloutView | undefined;
  const subscription = lab.client.rollouts.watch.subscribe(
    { rollout },
    {
      onData(view) {
        last = view;
        if (view.state !== "running") resolve(view);
      },
      onError: reject,
    },
  );
  const late = setTimeout(
    () => reject(new Error(`rollout ${rollout} is ${last?.state ?? "not heard of"}`)),
    PATIENCE_MS,
  );
  try {
    const view = await promise;
    if (view.state !== "completed") throw new Error(`the rollout ${view.state}: ${view.haltedBecause}`);
    return view;
  } finally {
    clearTimeout(late);
    subscription.unsubscribe();
  }
}
