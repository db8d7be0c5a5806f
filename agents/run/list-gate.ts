import { messageOf } from "@sluice/proto/base/errors";
import type { Script, Target } from "../drivers/driver.ts";
import { NEARLY_FULL } from "../drivers/ipset/render-list.ts";
import { FED_LINES_MAX } from "../drivers/ipset/write.ts";
import type { SetLines } from "../lists/set-lines.ts";
import type { SetFill } from "./set-fill.ts";

/**
 * The way of list changes into the kernel.
 *
 * 1. Lines for a set that doesn't stand yet are dropped: it is filled whole when it is built.
 * 2. While a change is being applied, lines wait, and are written after it: the sets it builds were filled from what the
 *    list held before. Every line may be written twice.
 * 3. A set that is nearly full, or refuses lines (it is full after all), is built anew with more room and swapped in.
 */
export interface ListGate {
  write(changes: readonly SetLines[]): Promise<void>;
  /** Resolves when nothing is on its way into the kernel, held lines aside. */
  written(): Promise<void>;
  /** Holds lines back while `work` runs. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** how full each set in the kernel is, as far as it is known */
  fills(): ReadonlyMap<string, SetFill>;
  /** The kernel has just said it. */
  saw(fills: ReadonlyMap<string, SetFill>): void;
}

export interface ListGateOptions {
  /** what stands now */
  target(): Target | undefined;
  send(script: Script): Promise<void>;
  rebuild(setName: string): Promise<void>;
  /** how many entries the set is to hold */
  wanted(setName: string): number;
  readFills(): Promise<ReadonlyMap<string, SetFill>>;
  /** something is in force that wasn't */
  onAdded(): void;
  log(message: string): void;
}

export function createListGate(options: ListGateOptions): ListGate {
  let holding = 0;
  let held: SetLines[] = [];
  let fills: ReadonlyMap<string, SetFill> = new Map();
  const underWay = new Set<Promise<void>>();

  function send(changes: readonly SetLines[]): Promise<void> {
    const sending = sendNow(changes).finally(() => underWay.delete(sending));
    underWay.add(sending);
    return sending;
  }

  async function sendNow(changes: readonly SetLines[]): Promise<void> {
    const standing = new Set(
      options.target()?.sets.flatMap(({ use, name }) => (use === "list" ? [name] : [])) ?? [],
    );
    const known = changes.filter(({ set }) => standing.has(set));
    if (known.length === 0) return;
    if (known.some(({ set }) => !fills.has(set))) fills = await options.readFills();
    const whole = known.filter((one) => one.chunks === undefined || isNearlyFull(one.set));
    const edits = known.filter((one) => !whole.some(({ set }) => set === one.set));
    for (const set of namesOf(whole)) await rebuild(set);
    if (edits.length > 0) await sendEdits(edits);
    if (known.some(({ adds }) => adds)) options.onAdded();
  }

  async function sendEdits(edits: readonly SetLines[]): Promise<void> {
    const count = edits.reduce((sum, one) => sum + one.count, 0);
    const chunks = () => chunksOf(edits);
    const what = `lists: ${count} ${count === 1 ? "line" : "lines"}`;
    try {
      await options.send({
        driver: "ipset",
        what,
        tool: "ipset",
        ...(count <= FED_LINES_MAX
          ? { text: [...chunks()].map(String).join("") }
          : { text: "", more: chunks }),
      });
    } catch (error) {
      options.log(`list lines were refused, their sets are built anew: ${messageOf(error)}`);
      for (const set of namesOf(edits)) await rebuild(set);
    }
  }

  function isNearlyFull(set: string): boolean {
    return options.wanted(set) > (fills.get(set)?.room ?? Number.POSITIVE_INFINITY) * NEARLY_FULL;
  }

  async function rebuild(set: string): Promise<void> {
    await options.rebuild(set);
    fills = new Map([...fills].filter(([name]) => name !== set));
  }

  return {
    async write(changes) {
      if (holding > 0) held.push(...changes);
      else await send(changes);
    },
    written: async () => void (await Promise.allSettled(underWay)),
    async hold(work) {
      while (underWay.size > 0) await Promise.allSettled(underWay);
      holding += 1;
      try {
        return await work();
      } finally {
        holding -= 1;
        if (holding === 0) {
          const changes = held;
          held = [];
          fills = new Map(); // a change may have built sets anew
          await send(changes);
        }
      }
    },
    fills: () => fills,
    saw(seen) {
      fills = seen;
    },
  };
}

function* chunksOf(changes: readonly SetLines[]): Generator<string | Uint8Array> {
  for (const { chunks } of changes) if (chunks !== undefined) yield* chunks();
}

function namesOf(changes: readonly SetLines[]): Set<string> {
  return new Set(changes.map(({ set }) => set));
}
