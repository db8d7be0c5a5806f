import { describe, expect, test } from "vitest";
import { z } from "zod";
import { canonicalJson } from "../base/canonical.ts";
import { EVENT_TYPES, eventData, SCHEMA_VERSIONS } from "./event.ts";
import { STORED_EXAMPLES } from "./stored/examples.ts";
import { upcast } from "./upcast.ts";

/** Logs outlive versions of Sluice: what was ever stored must be read for ever, as what it meant. */
describe.each(EVENT_TYPES)("%s", (type) => {
  const today = SCHEMA_VERSIONS[type] ?? 1;
  const versions = Object.keys(STORED_EXAMPLES[type]).map(Number);

  test("has examples of every version it was ever written in", () => {
    expect(versions).toEqual(Array.from({ length: today }, (_, index) => index + 1));
  });

  test.each(versions)("stored in version %i it is read in today's shape", (version) => {
    for (const data of STORED_EXAMPLES[type][version] ?? []) {
      const event = upcast(type, version, data);
      expect(event?.type).toBe(type);
      expect(eventData[type].safeParse(event?.data)).toMatchObject({ success: true });
      // what today's version wrote is taken as it stands: nothing of it is dropped, nothing added
      if (version === today) expect(canonicalJson(event?.data)).toBe(canonicalJson(data));
    }
  });

  test("keeps its stored shape, or has a new version, an upcaster and examples", async () => {
    const shape = z.toJSONSchema(eventData[type], { io: "output" });
    await expect(`${JSON.stringify(shape, null, 1)}\n`).toMatchFileSnapshot(`stored/${type}.${today}.shape`);
  });

  test("has an example that gives every field", () => {
    const given = new Set((STORED_EXAMPLES[type][today] ?? []).flatMap((data) => Object.keys(data)));
    expect([...given].sort()).toEqual(Object.keys(eventData[type].shape).sort());
  });
});

test("a type that this version doesn't know is none of its events", () => {
  expect(upcast("ServerPainted", 1, {})).toBeUndefined();
});

test("a known type in a newer version, or in no shape it ever had, stops the reader", () => {
  expect(() => upcast("ListRetired", 1, { list: 7 })).toThrow("can't be read");
  expect(() => upcast("ListRetired", 2, { list: "bans" })).toThrow("version 2");
});
