import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalEntry } from "../policy/addresses.ts";
import { createKey, readIpv4, readKey, writeKey } from "./address-text.ts";
import { ListEntries } from "./list-entries.ts";

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom("::", "::1", "::ffff:1.2.3.4", "::1.2.3.4", "fe80::1:0:0:1"),
);
const canonical = fc
  .tuple(address, fc.nat(32))
  .map(([text, prefix]) => canonicalEntry(prefix === 32 ? text : `${text}/${prefix}`)?.entry ?? "");
const until = fc.constantFrom(undefined, "2026-02-01T00:00:00.000Z", "2026-02-01T00:00:00.123Z");

test("every canonical entry comes out of its bytes as it went in", () => {
  const key = createKey();
  const into = Buffer.alloc(64);
  fc.assert(
    fc.property(canonical, (entry) => {
      const family = readKey(Buffer.from(entry), 0, entry.length, key);
      expect(family).toBe(entry.includes(":") ? 6 : 4);
      expect(into.toString("latin1", 0, writeKey(family ?? 4, key, into, 0))).toBe(entry);
    }),
    { numRuns: 2_000 },
  );
});

test("the quick way to read IPv4 reads what the other reads, and nothing else", () => {
  const [quick, key] = [createKey(), createKey()];
  const line = fc.tuple(
    fc.oneof(canonical, fc.stringMatching(/^[0-9./]{0,20}$/)),
    fc.constantFrom("\n", " timeout 0\n", "x\n"),
  );
  fc.assert(
    fc.property(line, ([entry, rest]) => {
      const bytes = Buffer.from(entry + rest);
      const end = readIpv4(bytes, 0, bytes.length, quick);
      const family = readKey(bytes, 0, end === -1 ? entry.length : end, key);
      if (end === -1) return canonicalEntry(entry)?.family !== 4;
      return family === 4 && quick.words[0] === key.words[0] && quick.prefix === key.prefix;
    }),
    { numRuns: 2_000 },
  );
});

test("any edits leave what a Map would hold", () => {
  const some = fc.oneof(
    canonical,
    fc.nat(60).map((n) => `10.0.0.${n}`),
  );
  const edit = fc.record({ entry: some, until, isDelete: fc.boolean() });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 300 }), (edits) => {
      const entries = new ListEntries();
      const map = new Map<string, string | undefined>();
      for (const one of edits) {
        if (one.isDelete) expect(entries.delete(one.entry)).toBe(map.delete(one.entry));
        else {
          entries.set(one.entry, one.until);
          map.set(one.entry, one.until);
        }
      }
      expect(new Map(entries)).toEqual(map);
      expect(new Map(entries.copy())).toEqual(map);
      expect(entries.size).toBe(map.size);
      for (const { entry } of edits) {
        expect(entries.has(entry)).toBe(map.has(entry));
        expect(entries.get(entry)).toBe(map.get(entry));
      }
      const ends = [...map.values()].filter((end) => end !== undefined).length;
      expect(entries.table(4).expiring + entries.table(6).expiring).toBe(ends);
    }),
  );
});

test.each([
  "192.0.2.01",
  "192.0.2.1/33",
  "192.0.2",
  "2001:DB8::1",
  "1:2:3:4:5:6:7:8:9",
  ":::",
  "",
  "a",
  "1.2.3.4-1.2.3.9",
])("what isn't canonical is not taken: %j", (entry) => {
  const entries = new ListEntries();
  expect(() => entries.set(entry)).toThrow("canonical");
  expect(entries.size).toBe(0);
});

test("an address is covered by itself and by a network that holds it", () => {
  const entries = new ListEntries();
  for (const entry of ["192.0.2.0/24", "203.0.113.7", "2001:db8::/32"]) entries.set(entry);
  const key = createKey();
  const covered = (text: string) => {
    const family = readKey(Buffer.from(text), 0, text.length, key);
    return family !== undefined && entries.table(family).covers(key);
  };
  for (const inside of ["192.0.2.255", "203.0.113.7", "2001:db8:ffff::1"]) expect(covered(inside)).toBe(true);
  for (const outside of ["192.0.3.0", "203.0.113.8", "2001:db9::"]) expect(covered(outside)).toBe(false);
});
