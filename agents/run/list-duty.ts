import type { ListFill } from "@sluice/proto/wire/report";
import type { Script, Target } from "../drivers/driver.ts";
import { readIpset } from "../drivers/ipset/read.ts";
import { renderReplace } from "../drivers/ipset/render-list.ts";
import type { AgentLink } from "../link/link.ts";
import { type Cutter, createCutter } from "../lists/cut-live.ts";
import { createListFiles } from "../lists/list-files.ts";
import { createListStore, type ListStore } from "../lists/list-store.ts";
import type { AgentParts } from "./agent-parts.ts";
import { createListGate, type ListGate } from "./list-gate.ts";
import { fillsOf } from "./set-fill.ts";

export interface ListDuty {
  store: ListStore;
  gate: ListGate;
  /** ends connections to what is blocked now and wasn't before */
  cutter: Cutter;
  fill(): Record<string, ListFill>;
}

const NOTHING: Target = { sets: [], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };

/** The live lists, from the link into the kernel. */
export function createListDuty(
  parts: Pick<AgentParts, "live" | "drivers" | "setHeaders" | "state" | "clock" | "log">,
  options: { link: AgentLink; target(): Target | undefined; protect(): readonly string[] },
): ListDuty {
  const log = (message: string) => parts.log(message);
  const gate = createListGate({
    target: options.target,
    send,
    rebuild,
    wanted: (name) => store.members(name)?.counts().all ?? 0,
    readFills: async () => fillsOf((await parts.setHeaders.read()) ?? ""),
    onAdded: () => cutter.wake(),
    log,
  });
  const store = createListStore({
    link: options.link,
    files: createListFiles(parts.state.lists, log),
    write: gate.write,
    written: gate.written,
    protect: options.protect,
    nowMs: () => parts.clock.wall().getTime(),
    log,
  });

  const cutter = createCutter({
    at: parts.live,
    target: options.target,
    covers: store.covers,
    nowMs: parts.clock.nowMs,
    log: parts.log,
  });

  async function send(script: Script): Promise<void> {
    await parts.drivers.find(({ name }) => name === script.driver)?.write(parts.live, script);
  }

  async function rebuild(name: string): Promise<void> {
    const set = options.target()?.sets.find((one) => one.name === name);
    const live = store.members(name);
    if (set === undefined || live === undefined) return;
    await send(renderReplace(set, live, await readIpset(parts.live, NOTHING)));
  }

  return { store, gate, cutter, fill: () => store.fill((set) => gate.fills().get(set)?.room) };
}
