import type { Opened } from "@sluice/proto/base/sign";
import type { BlobRef } from "@sluice/proto/wire/envelope";
import type { ListDelta, ListHead } from "@sluice/proto/wire/list";
import {
  applyDelta,
  digestAfter,
  effectiveChange,
  emptyList,
  type ListState,
  snapshotBytes,
} from "@sluice/proto/wire/list-state";
import type { ReportBody } from "@sluice/proto/wire/report";
import { expect, test } from "vitest";
import type { ListFiles } from "./list-files.ts";
import { createListStore, type ListStore } from "./list-store.ts";

const NOW = Date.parse("2026-03-01T12:00:00.000Z");
const PROTECTED = ["10.0.0.0/30"];
const BANS = {
  list: "bans",
  sets: [
    { name: "sl-l-bans-4", family: 4 as const },
    { name: "sl-l-bans-6", family: 6 as const },
  ],
};

/** Control's side of one list: makes deltas and heads as control does. */
function listOwner(epoch = 1) {
  const state = emptyList();
  const deltas: ListDelta[] = [];
  let snapshot: { rev: number; digest: string; text: Buffer } | undefined;
  return {
    change(add: readonly string[], del: readonly string[] = [], until?: string): ListDelta {
      const change = effectiveChange(
        state,
        add.map((entry) => ({ entry, until })),
        del,
      );
      const delta: ListDelta = {
        epoch,
        list: "bans",
        rev: state.rev + 1,
        previous: state.digest,
        digest: digestAfter(state, change.add, change.del),
        ...change,
        at: new Date(NOW).toISOString(),
      };
      applyDelta(state, delta);
      deltas.push(delta);
      return delta;
    },
    compact() {
      snapshot = { rev: state.rev, digest: state.digest, text: snapshotBytes(state) };
    },
    head(): ListHead {
      const from = snapshot?.rev ?? 0;
      return {
        epoch,
        list: "bans",
        rev: state.rev,
        digest: state.digest,
        ...(snapshot === undefined
          ? {}
          : { snapshot: { rev: snapshot.rev, digest: snapshot.digest, blob: blobOf() } }),
        tail: deltas.filter(({ rev }) => rev > from),
        retired: false,
      };
    },
    text: () => snapshot?.text ?? Buffer.alloc(0),
  };
}

function linesOf(chunks: Iterable<string | Uint8Array>): string[] {
  return [...chunks]
    .map((chunk) => Buffer.from(chunk).toString())
    .join("")
    .split("\n")
    .filter((line) => line !== "");
}

function blobOf(): BlobRef {
  return { digest: "0".repeat(64), bytes: 1, chunks: 1 };
}

function setUp(stored?: ListState) {
  let owner = listOwner();
  const lines: string[] = [];
  const reports: ReportBody[] = [];
  const saved: ListState[] = [];
  let hear: (delta: Opened<ListDelta>) => void = () => undefined;
  const files: ListFiles = {
    load: async () => stored,
    changed: (_list, state) => void saved.push(state),
    close: async () => undefined,
  };
  const store = createListStore({
    link: {
      fetchList: async () => ({ ok: true, value: owner.head() }),
      async *streamBlob() {
        const text = owner.text();
        for (let at = 0; at < text.length; at += 5) yield text.subarray(at, at + 5);
      },
      followLists: (_lists, onDelta) => {
        hear = onDelta;
      },
      report: async (body) => void reports.push(body),
    },
    files,
    write: async (changes) => {
      for (const { set, chunks } of changes)
        lines.push(...(chunks === undefined ? [`anew ${set}`] : linesOf(chunks())));
    },
    written: async () => {},
    protect: () => PROTECTED,
    nowMs: () => NOW,
    log: () => undefined,
  });
  return {
    owner,
    lines,
    reports,
    store,
    hear: (delta: Opened<ListDelta>) => hear(delta),
    /** control's database is restored: from now on another control speaks, in the next epoch */
    restored() {
      owner = listOwner(2);
      return owner;
    },
  };
}

/** What the set would be filled with. */
function held(store: ListStore, set: string): string[] {
  return linesOf(store.members(set)?.addLines(set) ?? [])
    .map((line) => line.replace(`add -exist ${set} `, ""))
    .sort();
}

test("one delta is one line per address, in the family's own set", async () => {
  const { owner, lines, store, hear } = setUp();
  await store.use([BANS]);
  hear({ ok: true, value: owner.change(["192.0.2.1", "2001:db8::1"]) });
  hear({ ok: true, value: owner.change([], ["192.0.2.1"]) });
  await store.settled();
  expect(lines).toEqual([
    "add -exist sl-l-bans-4 192.0.2.1 timeout 0",
    "add -exist sl-l-bans-6 2001:db8::1 timeout 0",
    "del -exist sl-l-bans-4 192.0.2.1",
  ]);
});

test("an entry with a lifetime gets the kernel's own timeout, what is over is taken away", async () => {
  const { owner, lines, store, hear } = setUp();
  await store.use([BANS]);
  hear({ ok: true, value: owner.change(["192.0.2.1"], [], "2026-03-01T12:01:30.000Z") });
  hear({ ok: true, value: owner.change(["192.0.2.2"], [], "2026-03-01T11:00:00.000Z") });
  await store.settled();
  expect(lines).toEqual(["add -exist sl-l-bans-4 192.0.2.1 timeout 90", "del -exist sl-l-bans-4 192.0.2.2"]);
  expect(held(store, "sl-l-bans-4")).toEqual(["192.0.2.1 timeout 90"]);
});

test("a missed delta is made up from the head, and the kernel gets only what differs", async () => {
  const { owner, lines, store, hear } = setUp();
  await store.use([BANS]);
  hear({ ok: true, value: owner.change(["192.0.2.1"]) });
  owner.change(["192.0.2.2"]);
  hear({ ok: true, value: owner.change(["192.0.2.3"], ["192.0.2.1"]) });
  await store.settled();
  expect(lines.slice(1)).toEqual([
    "del -exist sl-l-bans-4 192.0.2.1",
    "add -exist sl-l-bans-4 192.0.2.2 timeout 0",
    "add -exist sl-l-bans-4 192.0.2.3 timeout 0",
  ]);
  expect(store.revs()).toEqual({ bans: 3 });
});

test("a server that was away for long takes the snapshot and the tail", async () => {
  const { owner, store } = setUp();
  owner.change(["192.0.2.1", "192.0.2.2"]);
  owner.change(["192.0.2.3"]);
  owner.compact();
  owner.change([], ["192.0.2.2"]);
  await store.use([BANS]);
  expect(held(store, "sl-l-bans-4")).toEqual(["192.0.2.1", "192.0.2.3"]);
});

test("control's pulse shows that deltas were withheld, and they are fetched", async () => {
  const { owner, store } = setUp();
  await store.use([BANS]);
  owner.change(["192.0.2.1"]);
  store.heard(1, { bans: 1, other: 9 });
  await store.settled();
  expect(held(store, "sl-l-bans-4")).toEqual(["192.0.2.1"]);
});

test("a protected address is never written, and said so", async () => {
  const { owner, lines, reports, store, hear } = setUp();
  await store.use([BANS]);
  hear({ ok: true, value: owner.change(["10.0.0.1", "192.0.2.1"]) });
  await store.settled();
  expect(lines).toEqual(["add -exist sl-l-bans-4 192.0.2.1 timeout 0"]);
  expect(reports).toEqual([{ kind: "skipped", list: "bans", rev: 1, entries: ["10.0.0.1"] }]);
  expect(held(store, "sl-l-bans-4")).toEqual(["192.0.2.1"]);
});

test("a delta that control didn't sign is reported and not obeyed", async () => {
  const { lines, reports, store, hear } = setUp();
  await store.use([BANS]);
  hear({ ok: false, reason: "wrong signature" });
  await store.settled();
  expect(lines).toEqual([]);
  expect(reports).toEqual([{ kind: "rejected", what: "list delta", reason: "wrong signature" }]);
});

test("after control was restored its word counts, though it is of an older revision", async () => {
  const { owner, lines, store, hear, restored } = setUp();
  await store.use([BANS]);
  for (const entry of ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    hear({ ok: true, value: owner.change([entry]) });
  await store.settled();
  const now = restored();
  now.change(["192.0.2.1"]);
  lines.length = 0;
  store.heard(2, { bans: 1 });
  await store.settled();
  expect(lines.sort()).toEqual(["del -exist sl-l-bans-4 192.0.2.2", "del -exist sl-l-bans-4 192.0.2.3"]);
  hear({ ok: true, value: owner.change(["192.0.2.9"]) }); // a broker that repeats what is over
  hear({ ok: true, value: now.change(["192.0.2.4"]) });
  await store.settled();
  expect(held(store, "sl-l-bans-4")).toEqual(["192.0.2.1", "192.0.2.4"]);
});

test("what a former run has saved isn't all there is to know of a list until control has spoken", async () => {
  const stored = emptyList();
  applyDelta(stored, listOwner().change(["192.0.2.1"]));
  const { store, owner, hear } = setUp(stored);
  const away = store.use([BANS]);
  expect(store.isKnown("sl-l-bans-4")).toBe(false);
  await away;
  expect(held(store, "sl-l-bans-4")).toEqual([]); // control's head is empty, and of this epoch
  hear({ ok: true, value: owner.change(["192.0.2.2"]) });
  await store.settled();
  expect(store.isKnown("sl-l-bans-4")).toBe(true);
  expect(store.isKnown("sl-l-other-4")).toBe(false);
});
