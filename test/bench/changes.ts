import type { Driver, Script, Target } from "@sluice/agents/drivers/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import type { IptablesSnapshot } from "@sluice/agents/drivers/iptables/snapshot";
import { type IptablesBackend, iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import type { TcSnapshot } from "@sluice/agents/drivers/tc/snapshot";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { startRawRestore } from "./raw-child.ts";
import { classesOf, NOTHING, rulesOf } from "./workload.ts";

const DEVICE = "eth0";
const CLASSES = 500;
const CHANGED_CLASSES = 50;

export const changes: Bench = {
  name: "changes",
  what: "1,000 changed rules, one rule in a table of 10,000, 50 of 500 classes, against the raw commit of the same",
  runs: 15,
  async run(context) {
    const rows: Row[] = [];
    const ratios: Ratio[] = [];
    const parts = [
      ...(["nft", "legacy"] as const).flatMap((backend) => [
        () => manyRules(context, backend),
        () => oneOfManyRules(context, backend),
      ]),
      () => someClasses(context),
    ];
    for (const part of parts) {
      const found = await part();
      rows.push(...found.rows);
      ratios.push(...found.ratios);
    }
    const notes = [
      "every rule of ten chains of 100 changes, back and forth; the driver reads, renders and writes, the raw restore is started for it",
      "one rule: both write the rule's chain of 100 anew, through a process that stays",
      "classes: the driver reads all, renders and writes; the raw batch holds only the lines that change",
    ];
    return { rows, ratios, notes };
  },
};

interface Found {
  rows: Row[];
  ratios: Ratio[];
}

/** How one of two states is reached from the other. */
interface Way<Snapshot> {
  target: Target;
  want: Snapshot;
  script: Script;
}

/** Builds the first state, the second, and the first again; gives the ways between them. */
async function waysBetween<Snapshot>(
  driver: Driver<Snapshot>,
  ns: Namespace,
  [first, second]: readonly [Target, Target],
): Promise<Way<Snapshot>[]> {
  async function build(target: Target): Promise<Snapshot> {
    const steps = driver.render(target, undefined, await driver.read(ns, target));
    for (const script of steps.build) await driver.write(ns, script);
    return await driver.read(ns, target);
  }
  const wantFirst = await build(first);
  const wantSecond = await build(second);
  const back = only(driver.render(first, wantFirst, wantSecond).build);
  const standing = await build(first);
  const there = only(driver.render(second, wantSecond, standing).build);
  return [
    { target: second, want: wantSecond, script: there },
    { target: first, want: wantFirst, script: back },
  ];
}

function only(scripts: readonly Script[]): Script {
  const [script, ...more] = scripts;
  if (script === undefined || more.length > 0) throw new Error(`${scripts.length} scripts, not one`);
  return script;
}

/** Whoever's turn it is goes to the state that doesn't stand. */
function alternating<T>(items: readonly T[]): () => T {
  let done = 0;
  return () => {
    const item = items[done++ % items.length];
    if (item === undefined) throw new Error("nothing to do");
    return item;
  };
}

async function manyRules(context: BenchContext, backend: IptablesBackend): Promise<Found> {
  context.progress(`1,000 changed rules, ${backend}`);
  const driver = createIptablesDriver({ backend });
  await using ns = await openRehearsal();
  try {
    const one = rulesOf(1000, false, [4]);
    const changed = (args: string) => args.replace("198.18.", "198.19.").replace("-j DROP", "-j RETURN");
    const other = {
      ...one,
      chains: one.chains.map((chain) => ({
        ...chain,
        rules: chain.rules.map(({ args }) => ({ args: changed(args) })),
      })),
    };
    const ways = await waysBetween<IptablesSnapshot>(driver, ns, [one, other]);
    const restore = iptablesTool(backend, 4, "restore");
    const times = await inTurn(
      context,
      thereAndBack(driver, ns, ways, (text) => raw(ns, restore, ["--noflush", "-w", "5"], text)),
    );
    return {
      rows: [
        row(`${backend}, 1,000 rules: driver (read, render, write)`, "ms", times.driver),
        row(`${backend}, 1,000 rules: driver's write`, "ms", times.write),
        row(`${backend}, 1,000 rules: one raw restore`, "ms", times.bare),
      ],
      ratios: [
        ratio(`${backend}, 1,000 rules: write / restore`, times.write, times.bare, { atMost: 1.3 }),
        ratio(`${backend}, 1,000 rules: read, render, write / restore`, times.driver, times.bare),
      ],
    };
  } finally {
    await driver.close(ns);
  }
}

async function oneOfManyRules(context: BenchContext, backend: IptablesBackend): Promise<Found> {
  context.progress(`one rule in a table of 10,000, ${backend}`);
  const driver = createIptablesDriver({ backend });
  await using ns = await openRehearsal();
  try {
    const targets = [rulesOf(10_000, false, [4]), rulesOf(10_000, true, [4])] as const;
    const ways = await waysBetween<IptablesSnapshot>(driver, ns, targets);
    const next = alternating(ways);
    using bare = startRawRestore(ns, iptablesTool(backend, 4, "restore"));
    const times = await inTurn(context, {
      driver: () => {
        const { script } = next();
        return timeMs(() => driver.write(ns, script));
      },
      bare: () => {
        const { script } = next();
        return timeMs(() => bare.commit(script.text));
      },
    });
    return {
      rows: [
        row(`${backend}, one rule in 10,000: driver's write`, "ms", times.driver),
        row(`${backend}, one rule in 10,000: raw commit by a process that stays`, "ms", times.bare),
      ],
      ratios: [
        ratio(`${backend}, one rule in 10,000: driver / raw`, times.driver, times.bare, { atMost: 2 }),
      ],
    };
  } finally {
    await driver.close(ns);
  }
}

async function someClasses(context: BenchContext): Promise<Found> {
  context.progress(`${CHANGED_CLASSES} of ${CLASSES} classes`);
  const driver = createTcDriver();
  await using ns = await openRehearsal();
  await raw(ns, "ip", ["link", "add", DEVICE, "type", "veth", "peer", "name", "peer0"]);
  try {
    const device = classesOf(DEVICE, CLASSES);
    const faster: typeof device = {
      ...device,
      egress: device.egress && {
        ...device.egress,
        classes: device.egress.classes.map((one, index) =>
          index < CHANGED_CLASSES
            ? { ...one, args: one.args.map((word) => (word === "1mbit" ? "2mbit" : word)) }
            : one,
        ),
      },
    };
    const targets = [
      { ...NOTHING, devices: [device] },
      { ...NOTHING, devices: [faster] },
    ] as const;
    const ways = await waysBetween<TcSnapshot>(driver, ns, targets);
    const times = await inTurn(
      context,
      thereAndBack(driver, ns, ways, (text) => raw(ns, "tc", ["-batch", "-"], text)),
    );
    const what = `${CHANGED_CLASSES} of ${CLASSES} classes`;
    return {
      rows: [
        row(`${what}: driver (read, render, write)`, "ms", times.driver),
        row(`${what}: driver's write`, "ms", times.write),
        row(`${what}: raw batch of ${CHANGED_CLASSES}`, "ms", times.bare),
      ],
      ratios: [
        ratio(`${what}: write / raw batch`, times.write, times.bare, { atMost: 1.3 }),
        ratio(`${what}: read, render, write / raw batch`, times.driver, times.bare),
      ],
    };
  } finally {
    await driver.close(ns);
  }
}

/** The driver with all it does, its write alone, and the bare tool: whose turn it is goes to the state that doesn't stand. */
function thereAndBack<Snapshot>(
  driver: Driver<Snapshot>,
  ns: Namespace,
  ways: readonly Way<Snapshot>[],
  bare: (text: string) => Promise<unknown>,
) {
  const next = alternating(ways);
  return {
    driver: () => {
      const { target, want } = next();
      return timeMs(() => converge(driver, ns, target, want));
    },
    write: () => {
      const { script } = next();
      return timeMs(() => driver.write(ns, script));
    },
    bare: () => {
      const { script } = next();
      return timeMs(() => bare(script.text));
    },
  };
}

async function converge<Snapshot>(
  driver: Driver<Snapshot>,
  ns: Namespace,
  target: Target,
  want: Snapshot,
): Promise<void> {
  const { build } = driver.render(target, want, await driver.read(ns, target));
  for (const script of build) await driver.write(ns, script);
}
