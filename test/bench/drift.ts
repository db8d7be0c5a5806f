import type { Target } from "@sluice/agents/drivers/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { type IptablesBackend, iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { FAMILIES, policyChain } from "@sluice/proto/base/names";
import { EMPTY_MANIFEST } from "@sluice/proto/manifest/manifest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl } from "../agents/fake-link.ts";
import { firewall } from "../agents/manifests.ts";
import { createTestServer } from "../agents/server.ts";
import { vandalise } from "../agents/vandal.ts";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { startRawRestore } from "./raw-child.ts";
import { rulesOf } from "./workload.ts";

const PATIENCE_MS = 60_000;
const SEEN_WITHIN_MS = 50;
/** with more the figures are printed without an aim: a save takes longer than that by itself */
const AIMED_RULES = 1_000;
const BACKEND: IptablesBackend = "nft";
const CHAIN = policyChain("bench", "part3");
const FLUSH = `*filter\n:${CHAIN} - [0:0]\nCOMMIT\n`;
const NEVER_MS = 3_600_000;
const VANDAL_MS = 60_000;
const POLL_MS = 1_000;

export const drift: Bench = {
  name: "drift",
  what: "a chain of 100 rules flushed by another tool until it is seen and mended, against save and commit by hand",
  runs: 15,
  async run(context) {
    const found = [
      await flushed(context, 1_000),
      await flushed(context, 10_000),
      await vandalised(context, "nft"),
      await vandalised(context, "legacy"),
    ];
    return {
      rows: found.flatMap(({ rows }) => rows),
      ratios: found.flatMap(({ ratios }) => ratios),
      notes: [
        "the vandal is a restore tool that stays; the clock starts when its commit is acknowledged",
        "seen: the agent knows what differs; mended: it has written, read again, and reports",
        `the vandal at random flushes, swaps and deletes for a minute; on legacy what it does to rules is seen by a look every ${POLL_MS} ms`,
        "by hand: iptables-save of both families at once, then one commit of the chain by a tool that stays",
      ],
    };
  },
};

async function flushed(context: BenchContext, rules: number): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  const what = `${rules.toLocaleString("en")} rules`;
  context.progress(what);
  const target = rulesOf(rules, false, [4]);
  await using stack = new AsyncDisposableStack();
  const server = await createTestServer();
  stack.defer(() => server.remove());
  const control = createFakeControl();
  let mended = Promise.withResolvers<Mended>();
  const agent = await startTestAgent(server, control, {
    intervals: { contentionLimit: Number.POSITIVE_INFINITY, pollMs: NEVER_MS, fullCheckMs: NEVER_MS },
    log(message, more) {
      if (message !== "drift repaired") return;
      mended.resolve({ atMs: performance.now(), ...timesOf(more) });
    },
  });
  stack.defer(() => agent.close());
  const { chains, hooks } = target;
  control.issue({ ...EMPTY_MANIFEST, chains: [...chains], hooks: [...hooks], deadlineMs: PATIENCE_MS }, 1);
  await waitUntil("the rules", PATIENCE_MS, () => control.outcomes().length === 1);
  await waitUntil("rest", PATIENCE_MS, () => agent.status().state === "idle");
  const vandal = stack.use(startRawRestore(server.at, iptablesTool(BACKEND, 4, "restore")));
  const hand = await byHand(stack, target);

  const seen: number[] = [];
  const times = await inTurn(context, {
    async mended() {
      mended = Promise.withResolvers();
      await vandal.commit(FLUSH);
      const flushedMs = performance.now();
      const { atMs, detectedMs, repairedMs } = await mended.promise;
      seen.push(atMs - repairedMs + detectedMs - flushedMs);
      return atMs - flushedMs;
    },
    byHand: () => timeMs(hand),
  });
  seen.shift(); // as every first sample, it doesn't count
  const aim = rules <= AIMED_RULES ? [{ atMost: 1 }] : [];
  const bound = times.byHand.map((ms) => SEEN_WITHIN_MS + 1.5 * ms);
  return {
    rows: [
      row(`${what}: flushed → seen`, "ms", seen),
      row(`${what}: flushed → mended`, "ms", times.mended),
      row(`${what}: by hand, save and commit`, "ms", times.byHand),
    ],
    ratios: [
      ratio(
        `${what}: seen / 50 ms`,
        seen,
        seen.map(() => SEEN_WITHIN_MS),
        ...aim,
      ),
      ratio(`${what}: mended / (50 ms + 1.5 × by hand)`, times.mended, bound, ...aim),
    ],
  };
}

/** A minute of vandalism at random: how long each repair took, and of how many it is known who did it. */
async function vandalised(
  context: BenchContext,
  backend: IptablesBackend,
): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  const what = `a vandal, ${backend}`;
  context.progress(`${what}, ${VANDAL_MS / 1000} s`);
  await using stack = new AsyncDisposableStack();
  const server = await createTestServer();
  stack.defer(() => server.remove());
  const control = createFakeControl();
  const mended: number[] = [];
  let named = 0;
  const agent = await startTestAgent(server, control, {
    backend,
    intervals: { contentionLimit: Number.POSITIVE_INFINITY, pollMs: POLL_MS },
    log(message, more) {
      if (message !== "drift repaired") return;
      mended.push(timesOf(more).repairedMs);
      if (more?.by !== undefined) named += 1;
    },
  });
  stack.defer(() => agent.close());
  control.issue(firewall(), 1);
  await waitUntil("the rules", PATIENCE_MS, () => control.outcomes().length === 1);
  await waitUntil("rest", PATIENCE_MS, () => agent.status().state === "idle");
  const whole = await server.dump(backend);
  const untilMs = performance.now() + VANDAL_MS;
  let acts = 0;
  for (let seed = 1; performance.now() < untilMs; seed += 1) {
    context.signal.throwIfAborted();
    const onAct = () => {
      acts += 1;
    };
    await vandalise(server, { acts: 20, seed, mostPauseMs: 400, backend, onAct });
  }
  await waitUntil("the kernel as before", PATIENCE_MS, async () => (await server.dump(backend)) === whole);
  return {
    rows: [
      row(`${what}: acts`, "", [acts]),
      row(`${what}: repairs`, "", [mended.length]),
      row(`${what}: heard of → mended`, "ms", mended),
      row(`${what}: repairs with a name to them`, "%", [(100 * named) / mended.length]),
      row(`${what}: reports to control`, "", [control.drifts().length]),
    ],
    ratios: [],
  };
}

interface Mended {
  atMs: number;
  detectedMs: number;
  repairedMs: number;
}

function timesOf(more: Readonly<Record<string, unknown>> | undefined): Omit<Mended, "atMs"> {
  return { detectedMs: Number(more?.detectedMs), repairedMs: Number(more?.repairedMs) };
}

/** The same rules in a namespace of their own, and what somebody would do there: look at all, write the chain. */
async function byHand(stack: AsyncDisposableStack, target: Target): Promise<() => Promise<void>> {
  const ns = stack.use(await openRehearsal());
  const tool = startRawRestore(ns, iptablesTool(BACKEND, 4, "restore"));
  stack.use(tool);
  const driver = createIptablesDriver({ backend: BACKEND });
  for (const { text } of driver.render(target, undefined, await driver.read(ns, target)).build)
    await tool.commit(text);
  const saved = await raw(ns, iptablesTool(BACKEND, 4, "save"), ["-t", "filter"]);
  const rules = saved.split("\n").filter((line) => line.startsWith(`-A ${CHAIN} `));
  const whole = `*filter\n:${CHAIN} - [0:0]\n${rules.join("\n")}\nCOMMIT\n`;
  return async () => {
    await Promise.all(FAMILIES.map((family) => raw(ns, iptablesTool(BACKEND, family, "save"), [])));
    await tool.commit(whole);
  };
}
