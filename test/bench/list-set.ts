import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Script } from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw, rawIpsetRestore } from "./raw.ts";
import { NOTHING, setOf } from "./workload.ts";

const SIZES = [100_000, 1_000_000];
const CHANGES = 1_000;
const CHANGES_AIM_MS = 20;

export const listSet: Bench = {
  name: "list-set",
  what: "a live list of 100,000 and of 1,000,000 addresses: its set filled, changed and checked by the agent's parts, against bare ipset",
  runs: 3,
  async run(context) {
    const found = [];
    for (const size of SIZES) found.push(await ofSize(context, size));
    return {
      rows: found.flatMap(({ rows }) => rows),
      ratios: found.flatMap(({ ratios }) => ratios),
      notes: [
        "filled: from a namespace without sets until every entry is in it; the restores read a file, ours is fed from memory while it is made",
        "sized: hashsize given, as ours does; as usually written: without",
        `${CHANGES} changes: half taken out, half added, in one text: by the child that waits, and by one restore of a file`,
        "full check: every member compared while ipset list prints it; ipset save's output is thrown away",
      ],
    };
  },
};

async function ofSize(context: BenchContext, size: number): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  const label = size.toLocaleString("en-US");
  const driver = createIpsetDriver();
  await using ns = await openRehearsal();
  const folder = makePrivateDirectory("bench");
  try {
    const set = setOf(size, "list");
    const target = { ...NOTHING, sets: [set] };
    const looked = { ...NOTHING, sets: [{ ...set, isReadWhole: true }] };
    const fill = driver.render(target, undefined, { sets: new Map() }).build[0];
    if (fill === undefined) throw new Error("the driver has nothing to write");
    const [sized, naive] = [join(folder.path, "sized"), join(folder.path, "naive")];
    await writeScript(sized, fill.text, fill);
    await writeScript(naive, fill.text.replace(/ hashsize \d+/, ""), fill);

    context.progress(`${label} entries: filled three ways`);
    const fills = await inTurn(context, {
      ours: () => afresh(ns, set.name, size, () => driver.write(ns, fill)),
      sized: () => afresh(ns, set.name, size, () => rawIpsetRestore(ns, sized)),
      naive: () => afresh(ns, set.name, size, () => rawIpsetRestore(ns, naive)),
    });

    context.progress(`${label} entries: changed and checked`);
    await driver.write(ns, fill);
    const want = await driver.read(ns, target);
    const often = { ...context, runs: 4 * context.runs };
    const back = () => driver.write(ns, changeScript(set.name, "back"));
    const changeFile = join(folder.path, "changes");
    await writeScript(changeFile, changeScript(set.name, "change").text);
    const changes = await inTurn(often, {
      ours: async () => {
        const ms = await timeMs(() => driver.write(ns, changeScript(set.name, "change")));
        await back();
        return ms;
      },
      bare: async () => {
        const ms = await timeMs(() => rawIpsetRestore(ns, changeFile));
        await back();
        return ms;
      },
    });
    const checks = await inTurn(often, {
      ours: () =>
        timeMs(async () => {
          const differences = driver.diff(looked, want, await driver.read(ns, looked));
          if (differences.length > 0) throw new Error(`it differs: ${JSON.stringify(differences)}`);
        }),
      save: () =>
        timeMs(() => ns.run("ipset", ["save", set.name], { onOutput: () => undefined, timeoutMs: 60_000 })),
      list: () =>
        timeMs(() => ns.run("ipset", ["list", set.name], { onOutput: () => undefined, timeoutMs: 60_000 })),
    });
    return {
      rows: [
        row(`${label}: filled by the driver`, "ms", fills.ours),
        row(`${label}: ipset restore, sized`, "ms", fills.sized),
        row(`${label}: ipset restore, as usually written`, "ms", fills.naive),
        row(`${label}: ${CHANGES} changes`, "ms", changes.ours),
        row(`${label}: ${CHANGES} changes, bare restore`, "ms", changes.bare),
        row(`${label}: full check`, "ms", checks.ours),
        row(`${label}: ipset save`, "ms", checks.save),
        row(`${label}: ipset list`, "ms", checks.list),
      ],
      ratios: [
        ratio(`${label}: filled / restore, sized`, fills.ours, fills.sized, { atMost: 1.1 }),
        ratio(`${label}: filled / restore, as usually written`, fills.ours, fills.naive, { atMost: 1.1 }),
        ratio(
          `${label}: ${CHANGES} changes / ${CHANGES_AIM_MS} ms`,
          changes.ours,
          changes.ours.map(() => CHANGES_AIM_MS),
          { atMost: 1 },
        ),
        ratio(`${label}: ${CHANGES} changes / bare restore`, changes.ours, changes.bare, { atMost: 1.3 }),
        ratio(`${label}: full check / ipset save`, checks.ours, checks.save, { atMost: 1.2 }),
      ],
    };
  } finally {
    await driver.close(ns);
    await folder.remove();
  }
}

async function afresh(
  at: Namespace,
  set: string,
  size: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const ms = await timeMs(work);
  const listed = await raw(at, "ipset", ["list", "-t", set]);
  if (!listed.includes(`Number of entries: ${size}\n`)) throw new Error(`not whole: ${listed}`);
  await raw(at, "ipset", ["destroy", set]);
  return ms;
}

async function writeScript(path: string, text: string, { more, end }: Partial<Script> = {}): Promise<void> {
  await using file = await open(path, "w");
  await file.write(text);
  for (const chunk of more?.() ?? []) await file.write(Buffer.from(chunk));
  await file.write(end ?? "");
}

/** Takes a half out that isn't there, and puts a half in that isn't there either; then takes out all of them. */
function changeScript(set: string, turn: "change" | "back"): Script {
  const lines = Array.from({ length: CHANGES }, (_, n) => {
    const verb = turn === "change" && n >= CHANGES / 2 ? "add" : "del";
    return `${verb} -exist ${set} 203.0.${n >> 8}.${n & 255}`;
  });
  return { driver: "ipset", what: `${CHANGES} changes`, tool: "ipset", text: `${lines.join("\n")}\n` };
}
