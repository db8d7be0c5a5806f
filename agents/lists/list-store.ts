import { messageOf } from "@sluice/proto/base/errors";
import { listSet } from "@sluice/proto/base/names";
import type { Opened } from "@sluice/proto/base/sign";
import type { ManifestList } from "@sluice/proto/manifest/manifest";
import type { ListDelta, ListEntry, ListHead } from "@sluice/proto/wire/list";
import { applyDelta, emptyList, type ListState, readSnapshot } from "@sluice/proto/wire/list-state";
import type { AgentLink } from "../link/link.ts";
import { changeLines, listChange, setEntries } from "./entries.ts";
import type { ListFiles } from "./list-files.ts";

/**
 * The live lists this server uses.
 *
 * 1. One delta is one write into the kernel: its lines go to the waiting ipset child in one script.
 * 2. A delta is applied only when it follows what is held here; else the signed head is fetched, and what differs from
 *    it is written. Nothing is guessed.
 * 3. A protected address is never put into a set, whatever a list says: it is skipped and reported.
 * 4. Changes are handled one after the other. The kernel is written after the state here, and lines may be repeated,
 *    so a write that failed is mended by the next full check.
 * 5. What is held survives on disk, so that a server whose control is gone still fills its sets.
 * 6. In a new epoch (control's database was restored) control's word counts, also where it is an older one.
 */
export interface ListStore {
  /** From now on these lists are followed and kept, others are forgotten. Resolves when each is loaded or known away. */
  use(lists: readonly ManifestList[]): Promise<void>;
  /** Newest revs as control's pulse says: what is behind, or of an epoch before, is fetched. */
  heard(epoch: number, revs: Readonly<Record<string, number>>): void;
  /** The living entries of a set of ours, as `ipset add SET …` takes them; undefined: no list's set */
  entries(setName: string): string[] | undefined;
  /** Whether the set is to hold just its entries: not while all that is known of them is what a former run has saved. */
  isKnown(setName: string): boolean;
  revs(): Record<string, number>;
  /** Waits for everything that was heard until now. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface ListStoreOptions {
  link: Pick<AgentLink, "fetchList" | "fetchBlob" | "followLists" | "report">;
  files: ListFiles;
  /** writes ipset lines into the live kernel, in one script */
  write(lines: readonly string[]): Promise<void>;
  isProtected(entry: string): boolean;
  nowMs(): number;
  log(message: string): void;
}

interface Held {
  families: (4 | 6)[];
  state: ListState;
  /** of control's last word on it; 0: none since the start, and the disk's may be older than the kernel */
  epoch: number;
}

export function createListStore(options: ListStoreOptions): ListStore {
  const { link, files } = options;
  const held = new Map<string, Held>();
  let last: Promise<void> = Promise.resolve();

  /** One change after the other; a failure is said and doesn't stop the next. */
  function inTurn(action: () => Promise<void>): Promise<void> {
    last = last.then(action).catch((error) => options.log(`lists: ${messageOf(error)}`));
    return last;
  }

  async function write(
    list: string,
    { families, state }: Held,
    add: ListEntry[],
    del: string[],
  ): Promise<void> {
    const skipped = add.filter(({ entry }) => options.isProtected(entry));
    const wanted = skipped.length === 0 ? add : add.filter((entry) => !skipped.includes(entry));
    const lines = changeLines(list, families, wanted, del, options.nowMs());
    if (lines.length > 0) await options.write(lines);
    if (skipped.length > 0) {
      const entries = skipped.map(({ entry }) => entry).slice(0, 100);
      await link.report({ kind: "skipped", list, rev: state.rev, entries });
    }
  }

  async function refresh(list: string): Promise<void> {
    const mine = held.get(list);
    if (mine === undefined) return;
    const opened = await link.fetchList(list);
    if (opened === undefined) return;
    if (!opened.ok) {
      await link.report({ kind: "rejected", what: `list ${list}`, reason: opened.reason });
      return;
    }
    const head = opened.value;
    if (head.list !== list || head.epoch < mine.epoch) return;
    const { rev, digest } = mine.state;
    const isSame = head.rev === rev && head.digest === digest;
    if (isSame) mine.epoch = head.epoch;
    if (isSame || (head.epoch === mine.epoch && head.rev <= rev)) return;
    const next = await stateOf(head, mine.state);
    const { add, del } = listChange(mine.state, next);
    mine.epoch = head.epoch;
    mine.state = next;
    await write(list, mine, add, del);
    files.changed(list, next);
  }

  /** The state a head promises: from what is held here where its tail reaches back that far, else from its snapshot. */
  async function stateOf(head: ListHead, mine: ListState): Promise<ListState> {
    if (head.retired) return { ...emptyList(), rev: head.rev };
    const state: ListState = { ...mine, entries: new Map(mine.entries) };
    if (follow(state, head)) return state;
    const loaded = await loadSnapshot(head);
    if (follow(loaded, head)) return loaded;
    throw new Error(`list ${head.list}: its head doesn't add up`);
  }

  async function loadSnapshot(head: ListHead): Promise<ListState> {
    if (head.snapshot === undefined) return emptyList();
    const { rev, digest, blob } = head.snapshot;
    const text = Buffer.from(await link.fetchBlob(blob)).toString();
    const state = readSnapshot(text, rev, digest);
    if (state === undefined) throw new Error(`list ${head.list}: its snapshot doesn't match its digest`);
    return state;
  }

  async function onDelta(opened: Opened<ListDelta>): Promise<void> {
    if (!opened.ok) {
      await link.report({ kind: "rejected", what: "list delta", reason: opened.reason });
      return;
    }
    const delta = opened.value;
    const mine = held.get(delta.list);
    if (mine === undefined) return;
    if (delta.epoch < mine.epoch) return;
    const isOfNewEpoch = delta.epoch > mine.epoch && mine.epoch > 0;
    const result = isOfNewEpoch ? "gap" : applyDelta(mine.state, delta);
    if (result === "old") return;
    if (result !== "applied") {
      await refresh(delta.list);
      return;
    }
    mine.epoch = delta.epoch;
    await write(delta.list, mine, delta.add, delta.del);
    files.changed(delta.list, mine.state);
  }

  function heldAs(setName: string) {
    for (const [list, mine] of held) {
      const family = mine.families.find((one) => listSet(list, one) === setName);
      if (family !== undefined) return { ...mine, family };
    }
    return undefined;
  }

  return {
    async use(lists) {
      const wanted = new Map(lists.map((list) => [list.list, list]));
      for (const list of [...held.keys()]) if (!wanted.has(list)) held.delete(list);
      for (const [list, { sets }] of wanted) {
        const families = sets.map(({ family }) => family);
        const mine = held.get(list);
        if (mine !== undefined) mine.families = families;
        else held.set(list, { families, state: (await files.load(list)) ?? emptyList(), epoch: 0 });
      }
      link.followLists([...wanted.keys()], (opened) => void inTurn(() => onDelta(opened)));
      for (const list of wanted.keys()) await inTurn(() => refresh(list));
    },

    heard(epoch, revs) {
      for (const [list, rev] of Object.entries(revs)) {
        const mine = held.get(list);
        if (mine === undefined) continue;
        if (mine.state.rev < rev || mine.epoch < epoch) void inTurn(() => refresh(list));
      }
    },

    entries(setName) {
      const found = heldAs(setName);
      return (
        found &&
        setEntries(found.state, found.family, options.nowMs()).filter(
          (line) => !options.isProtected(line.split(" ")[0] ?? line),
        )
      );
    },

    isKnown: (setName) => (heldAs(setName)?.epoch ?? 0) > 0,

    revs: () => Object.fromEntries([...held].map(([list, { state }]) => [list, state.rev])),
    settled: () => last,
    async close() {
      link.followLists([], () => undefined);
      await last;
      await files.close();
    },
  };
}

/** Applies the head's tail to a state; false where it doesn't lead to what the head promises. */
function follow(state: ListState, head: ListHead): boolean {
  const fits = head.tail.every((delta) => ["applied", "old"].includes(applyDelta(state, delta)));
  return fits && state.digest === head.digest && state.rev === head.rev;
}
