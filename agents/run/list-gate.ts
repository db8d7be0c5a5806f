import { messageOf } from "@sluice/proto/base/errors";
import type { Script, Target } from "../drivers/driver.ts";

/**
 * The way of list deltas into the kernel.
 *
 * 1. Lines for a set that doesn't stand yet are dropped: it is filled whole when it is built.
 * 2. While a change is being applied, lines wait, and are written after it: the sets it builds were filled from what the
 *    list held before. Every line may be written twice.
 * 3. Lines that the kernel refuses (a set is full) make their sets be built anew with more room.
 */
export interface ListGate {
  write(lines: readonly string[]): Promise<void>;
  /** Resolves when nothing is on its way into the kernel, held lines aside. */
  written(): Promise<void>;
  /** Holds lines back while `work` runs. */
  hold<T>(work: () => Promise<T>): Promise<T>;
}

export interface ListGateOptions {
  /** what stands now */
  target(): Target | undefined;
  send(script: Script): Promise<void>;
  rebuild(setName: string): Promise<void>;
  log(message: string): void;
}

export function createListGate(options: ListGateOptions): ListGate {
  let holding = 0;
  let held: string[] = [];
  const underWay = new Set<Promise<void>>();

  function send(lines: readonly string[]): Promise<void> {
    const sending = sendNow(lines).finally(() => underWay.delete(sending));
    underWay.add(sending);
    return sending;
  }

  async function sendNow(lines: readonly string[]): Promise<void> {
    const standing = new Set(
      options.target()?.sets.flatMap(({ use, name }) => (use === "list" ? [name] : [])) ?? [],
    );
    const known = lines.filter((line) => standing.has(setOf(line)));
    if (known.length === 0) return;
    try {
      await options.send({
        driver: "ipset",
        what: `lists: ${known.length} lines`,
        tool: "ipset",
        text: `${known.join("\n")}\n`,
      });
    } catch (error) {
      options.log(`list lines were refused, their sets are built anew: ${messageOf(error)}`);
      for (const name of new Set(known.map(setOf))) await options.rebuild(name);
    }
  }

  return {
    async write(lines) {
      if (holding > 0) held.push(...lines);
      else await send(lines);
    },
    written: async () => void (await Promise.allSettled(underWay)),
    async hold(work) {
      holding += 1;
      try {
        return await work();
      } finally {
        holding -= 1;
        if (holding === 0) {
          const lines = held;
          held = [];
          await send(lines);
        }
      }
    },
  };
}

/** The set of `add -exist SET ENTRY …`. */
function setOf(line: string): string {
  return line.split(" ")[2] ?? "";
}
