import fc from "fast-check";
import { expect, test } from "vitest";
import type { ListDelta, ListEntry } from "./list.ts";
import {
  applyDelta,
  digestAfter,
  effectiveChange,
  emptyList,
  type ListState,
  readSnapshot,
  snapshotBytes,
} from "./list-state.ts";

function nextDelta(state: ListState, add: readonly ListEntry[], del: readonly string[]): ListDelta {
  const change = effectiveChange(state, add, del);
  return {
    epoch: 1,
    list: "bans",
    rev: state.rev + 1,
    previous: state.digest,
    digest: digestAfter(state, change.add, change.del),
    ...change,
    at: "2026-01-01T00:00:00.000Z",
  };
}

const address = fc.nat(20).map((n) => `192.0.2.${n}`);
const entry = fc.record({ entry: address, until: fc.constantFrom(undefined, "2026-02-01T00:00:00.000Z") });
const edits = fc.array(fc.record({ add: fc.array(entry), del: fc.array(address) }), { maxLength: 12 });

test("any history of deltas leaves the digest of what the list holds, as a snapshot of it has", () => {
  fc.assert(
    fc.property(edits, (history) => {
      const state = emptyList();
      for (const { add, del } of history)
        expect(applyDelta(state, nextDelta(state, add, del))).toBe("applied");
      const reread = readSnapshot(snapshotBytes(state), state.rev, state.digest);
      expect(new Map(reread?.entries)).toEqual(new Map(state.entries));
    }),
  );
});

test("a delta that was missed is seen as a gap, one that comes twice as old", () => {
  const sender = emptyList();
  const first = nextDelta(sender, [{ entry: "192.0.2.1" }], []);
  applyDelta(sender, first);
  const second = nextDelta(sender, [{ entry: "192.0.2.2" }], []);
  const receiver = emptyList();
  expect(applyDelta(receiver, second)).toBe("gap");
  expect(applyDelta(receiver, first)).toBe("applied");
  expect(applyDelta(receiver, first)).toBe("old");
  expect(applyDelta(receiver, second)).toBe("applied");
});

test("a delta whose content was altered doesn't fit its digest and changes nothing", () => {
  const state = emptyList();
  const delta = { ...nextDelta(state, [{ entry: "192.0.2.1" }], []), add: [{ entry: "192.0.2.9" }] };
  expect(applyDelta(state, delta)).toBe("mismatch");
  expect(state.entries.size).toBe(0);
});

test("a snapshot with a missing line is not read", () => {
  const state = emptyList();
  applyDelta(state, nextDelta(state, [{ entry: "192.0.2.1" }, { entry: "192.0.2.2" }], []));
  expect(readSnapshot(Buffer.from("192.0.2.1"), state.rev, state.digest)).toBeUndefined();
});
