import { optionValue } from "../drivers/ipset/options.ts";
import { parseList } from "../drivers/ipset/parse.ts";
import type { Namespace } from "../exec/namespace.ts";

export interface SetFill {
  entries: number;
  /** undefined: this type knows no bound */
  room: number | undefined;
}

const TIMEOUT_MS = 10_000;

/** How many members each set in the kernel has, and has room for. One cheap command: headers only. */
export async function readFills(at: Namespace): Promise<Map<string, SetFill>> {
  const { stdout } = await at.run("ipset", ["list", "-t"], { timeoutMs: TIMEOUT_MS });
  return new Map(
    parseList(stdout).map(({ name, count, options }) => {
      const room = optionValue(options, "maxelem");
      return [name, { entries: count, room: room === undefined ? undefined : Number(room) }];
    }),
  );
}
