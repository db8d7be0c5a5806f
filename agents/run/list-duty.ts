import type { Script, Target } from "../drivers/driver.ts";
import { readIpset } from "../drivers/ipset/read.ts";
import { renderReplace } from "../drivers/ipset/render.ts";
import type { AgentLink } from "../link/link.ts";
import { createListFiles } from "../lists/list-files.ts";
import { createListStore, type ListStore } from "../lists/list-store.ts";
import type { AgentParts } from "./agent-parts.ts";
import { createListGate, type ListGate } from "./list-gate.ts";

export interface ListDuty {
  store: ListStore;
  gate: ListGate;
}

const NOTHING: Target = { sets: [], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };

/** The live lists, from the link into the kernel. */
export function createListDuty(
  parts: AgentParts,
  options: { link: AgentLink; target(): Target | undefined; isProtected(entry: string): boolean },
): ListDuty {
  const log = (message: string) => parts.log(message);
  const gate = createListGate({ target: options.target, send, rebuild, log });
  const store = createListStore({
    link: options.link,
    files: createListFiles(parts.state.lists, log),
    write: gate.write,
    isProtected: options.isProtected,
    nowMs: () => parts.clock.wall().getTime(),
    log,
  });

  async function send(script: Script): Promise<void> {
    await parts.drivers.find(({ name }) => name === script.driver)?.write(parts.live, script);
  }

  async function rebuild(name: string): Promise<void> {
    const set = options.target()?.sets.find((one) => one.name === name);
    if (set === undefined) return;
    await send(
      renderReplace({ ...set, entries: store.entries(name) ?? [] }, await readIpset(parts.live, NOTHING)),
    );
  }

  return { store, gate };
}
