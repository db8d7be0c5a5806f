import { messageOf } from "@sluice/proto/base/errors";
import { type Family, listSet } from "@sluice/proto/base/names";
import type { Opened } from "@sluice/proto/base/sign";
import type { ManifestList } from "@sluice/proto/manifest/manifest";
import { type AddressKey, createKey, readKey } from "@sluice/proto/wire/address-text";
import type { ListDelta, ListEntry, ListHead } from "@sluice/proto/wire/list";
import { createSnapshotReader } from "@sluice/proto/wire/list-snapshot";
import { applyDelta, emptyList, type ListState } from "@sluice/proto/wire/list-state";
import type { ListFill } from "@sluice/proto/wire/report";
import type { LiveMembers } from "../drivers/driver.ts";
import type { AgentLink } from "../link/link.ts";
import { createProtection, type HeldList, holdList, refreshSkipped } from "./held-list.ts";
import type { ListFiles } from "./list-files.ts";
import { liveMembers } from "./live-members.ts";
import { deltaLines, type SetLines } from "./set-lines.ts";
import { tableChange } from "./table-change.ts";

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
 * 7. A million entries are two flat tables. They are read, compared and written as they come, in pieces.
 */
export interface ListStore {
  /** From now on these lists are followed and kept, others are forgotten. Resolves when each is loaded or known away. */
  use(lists: readonly ManifestList[]): Promise<void>;
  /** Newest revs as control's pulse says: what is behind, or of an epoch before, is fetched. */
  heard(epoch: number, revs: Readonly<Record<string, number>>): void;
  /** What a set of ours is to hold; undefined: no list's set */
  members(setName: string): LiveMembers | undefined;
  /** Whether the set is to hold just its entries: not while all that is known of them is what a former run has saved. */
  isKnown(setName: string): boolean;
  /** Whether the set is to hold the address, or a network it is in. */
  covers(setName: string, address: AddressKey): boolean;
  revs(): Record<string, number>;
  /** How full each list's fuller set is, where `roomOf` knows. */
  fill(roomOf: (setName: string) => number | undefined): Record<string, ListFill>;
  /** Waits for everything that was heard until now. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface ListStoreOptions {
  link: Pick<AgentLink, "fetchList" | "streamBlob" | "followLists" | "report">;
  files: ListFiles;
  /** brings changes into the live kernel, in one script */
  write(changes: readonly SetLines[]): Promise<void>;
  /** resolves when nothing is on its way there */
  written(): Promise<void>;
  /** networks that nothing may cut off; another array when they have changed */
  protect(): readonly string[];
  nowMs(): number;
  log(message: string): void;
}

const SKIPPED_TOLD_MAX = 100;

export function createListStore(options: ListStoreOptions): ListStore {
  const { link, files, nowMs } = options;
  const held = new Map<string, HeldList>();
  const members = new Map<string, { held: HeldList; family: Family; live: LiveMembers }>();
  const protection = createProtection(options.protect);
  let last: Promise<void> = Promise.resolve();

  /** One change after the other; a failure is said and doesn't stop the next. */
  function inTurn(action: () => Promise<void>): Promise<void> {
    last = last.then(action).catch((error) => options.log(`lists: ${messageOf(error)}`));
    return last;
  }

  /** A few entries came and went: into the kernel, those aside that would block what is protected. */
  async function writeDelta(list: string, mine: HeldList, add: readonly ListEntry[], del: readonly string[]) {
    refreshSkipped(mine, protection);
    const skipped = add.filter(({ entry }) => isProtected(entry));
    for (const { entry, until } of skipped) mine.skipped.set(entry, until);
    for (const entry of del) mine.skipped.delete(entry);
    const wanted = skipped.length === 0 ? add : add.filter((entry) => !skipped.includes(entry));
    const lines = deltaLines(list, mine.families, wanted, del, nowMs());
    if (lines.length > 0) await options.write(lines);
    await tellSkipped(
      list,
      mine.state.rev,
      skipped.map(({ entry }) => entry),
    );
  }

  /** The list was replaced by what its snapshot says. */
  async function writeWhole(list: string, mine: HeldList, before: ListState): Promise<void> {
    const toldBefore = mine.skipped;
    mine.protectedBy = [];
    refreshSkipped(mine, protection);
    const lines = mine.families.flatMap((family) =>
      tableChange(list, family, before.entries.table(family), () => mine.state.entries.table(family), {
        isSkipped(slot, table) {
          const found = createKey();
          table.read(slot, found);
          return mine.skipped.table(family).find(found) !== -1;
        },
        nowMs,
      }),
    );
    if (lines.length > 0) await options.write(lines);
    const news = [...mine.skipped.keys()].filter((entry) => !toldBefore.has(entry));
    await tellSkipped(list, mine.state.rev, news);
  }

  function isProtected(entry: string): boolean {
    const key = createKey();
    const family = readKey(Buffer.from(entry), 0, entry.length, key);
    return family !== undefined && protection.networks().overlap(family, key);
  }

  async function tellSkipped(list: string, rev: number, entries: string[]): Promise<void> {
    if (entries.length === 0) return;
    await link.report({ kind: "skipped", list, rev, entries: entries.slice(0, SKIPPED_TOLD_MAX) });
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
    const before = mine.state;
    const followed = head.retired ? undefined : followTail(before, head);
    mine.state = followed ?? (await stateOf(head));
    mine.epoch = head.epoch;
    if (followed === undefined) await writeWhole(list, mine, before);
    else {
      const { add, del } = netChange(head.tail.filter((delta) => delta.rev > rev));
      await writeDelta(list, mine, add, del);
    }
    files.changed(list, mine.state);
  }

  /** The state a head's snapshot and tail promise. */
  async function stateOf(head: ListHead): Promise<ListState> {
    if (head.retired) return { ...emptyList(), rev: head.rev };
    const loaded = await loadSnapshot(head);
    if (follow(loaded, head)) return loaded;
    throw new Error(`list ${head.list}: its head doesn't add up`);
  }

  async function loadSnapshot(head: ListHead): Promise<ListState> {
    if (head.snapshot === undefined) return emptyList();
    const { rev, digest, blob } = head.snapshot;
    const reader = createSnapshotReader();
    for await (const bytes of link.streamBlob(blob)) reader.heard(bytes);
    const state = reader.end(rev, digest);
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
    await writeDelta(delta.list, mine, delta.add, delta.del);
    files.changed(delta.list, mine.state, delta);
  }

  function hold(list: string, mine: HeldList): void {
    forget(list, mine);
    held.set(list, mine);
    for (const family of mine.families)
      members.set(listSet(list, family), { held: mine, family, live: liveMembers(mine, family, options) });
  }

  function forget(list: string, mine: HeldList): void {
    held.delete(list);
    for (const [set, one] of members) if (one.held === mine) members.delete(set);
  }

  return {
    async use(lists) {
      const wanted = new Map(lists.map((list) => [list.list, list]));
      for (const [list, mine] of [...held]) if (!wanted.has(list)) forget(list, mine);
      for (const [list, { sets }] of wanted) {
        const families = sets.map(({ family }) => family);
        const mine = held.get(list) ?? holdList(families, (await files.load(list)) ?? emptyList());
        mine.families = families;
        hold(list, mine);
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

    members(setName) {
      const found = members.get(setName);
      if (found !== undefined) refreshSkipped(found.held, protection);
      return found?.live;
    },

    isKnown: (setName) => (members.get(setName)?.held.epoch ?? 0) > 0,

    covers(setName, address) {
      const found = members.get(setName);
      return (
        found?.held.state.entries.table(found.family).covers(address) === true &&
        !protection.networks().overlap(found.family, address)
      );
    },

    fill(roomOf) {
      const fills: Record<string, ListFill> = {};
      for (const [list, { families, state }] of held) {
        for (const family of families) {
          const [entries, room] = [state.entries.table(family).size, roomOf(listSet(list, family))];
          const before = fills[list];
          if (room === undefined) continue;
          if (before === undefined || entries / room > before.entries / before.room)
            fills[list] = { entries, room };
        }
      }
      return fills;
    },
    revs: () => Object.fromEntries([...held].map(([list, { state }]) => [list, state.rev])),
    settled: () => last,
    async close() {
      link.followLists([], () => undefined);
      await last;
      await files.close();
    },
  };
}

/** What the head's tail makes of a state; undefined where it doesn't lead to what the head promises. */
function followTail(state: ListState, head: ListHead): ListState | undefined {
  const [first] = head.tail;
  if (first === undefined || first.rev > state.rev + 1) return undefined;
  const next = { ...state, entries: state.entries.copy() };
  return follow(next, head) ? next : undefined;
}

/** Applies the head's tail to a state; false where it doesn't lead to what the head promises. */
function follow(state: ListState, head: ListHead): boolean {
  const fits = head.tail.every((delta) => ["applied", "old"].includes(applyDelta(state, delta)));
  return fits && state.digest === head.digest && state.rev === head.rev;
}

/** What is left of several deltas when the last word on each entry counts. */
function netChange(deltas: readonly ListDelta[]): { add: ListEntry[]; del: string[] } {
  const net = new Map<string, ListEntry | undefined>();
  for (const { add, del } of deltas) {
    for (const entry of del) net.set(entry, undefined);
    for (const entry of add) net.set(entry.entry, entry);
  }
  return {
    add: [...net.values()].filter((entry) => entry !== undefined),
    del: [...net].flatMap(([entry, last]) => (last === undefined ? [entry] : [])),
  };
}
