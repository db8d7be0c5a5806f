import { sha256Hex } from "@sluice/proto/base/digest";
import { describe, expect, test } from "vitest";
import { chainHash, type NewEvent, prepareEvent } from "./event-body.ts";

const event: NewEvent = {
  id: "0b0e5a3c-4b5e-4d7e-9d57-1d2c3b4a5f60",
  type: "ListCreated",
  schemaVersion: 1,
  data: { list: "bans", families: [6, 4], nothing: undefined },
  meta: { at: "2026-01-02T04:04:05+01:00", actor: "ada", reason: "", correlation: "c-1" },
  keys: { list: "bans", policy: undefined },
};

function prepare(change: Partial<NewEvent> = {}) {
  let salt = 0;
  return prepareEvent({ ...event, ...change }, "list-bans", 3, () => {
    salt += 1;
    return Buffer.from([salt]);
  });
}

describe("the body of an event", () => {
  test("is this canonical text: a change of it would make every stored hash unreadable", () => {
    expect(prepare().body).toBe(
      '{"data":{"families":[6,4],"list":"bans"},"id":"0b0e5a3c-4b5e-4d7e-9d57-1d2c3b4a5f60","keys":{"list":"bans"},' +
        '"meta":{"actor":"cb9dd52986f863ea3613c7c9c5c5c804709135b4615be93c1e6033ac99bde071",' +
        '"at":"2026-01-02T03:04:05.000Z","correlation":"c-1",' +
        '"reason":"dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986"},' +
        '"schemaVersion":1,"stream":"list-bans","streamVersion":3,"type":"ListCreated"}',
    );
  });

  test("holds neither the actor nor the reason, only what the salts beside it make of them", () => {
    const { body, actor, reason } = prepare({
      meta: { ...event.meta, actor: "ada lovelace", reason: "a hunch" },
    });
    expect(body).not.toMatch(/lovelace|hunch/);
    expect(body).toContain(
      sha256Hex(Buffer.concat([Buffer.from(actor.salt, "hex"), Buffer.from("ada lovelace")])),
    );
    expect(body).toContain(
      sha256Hex(Buffer.concat([Buffer.from(reason.salt, "hex"), Buffer.from("a hunch")])),
    );
  });

  test.each<[string, Partial<NewEvent>]>([
    ["an id that is no UUID", { id: "7" }],
    [
      "an id in capitals, which would be another text than Postgres gives back",
      { id: event.id.toUpperCase() },
    ],
    ["a version that is no count", { schemaVersion: 0 }],
    ["a time that is none", { meta: { ...event.meta, at: "noon" } }],
    ["no actor", { meta: { ...event.meta, actor: "" } }],
    ["an empty key", { keys: { server: "" } }],
    ["a NUL in its data", { data: { deep: ["a\0b"] } }],
    ["a NUL in its reason", { meta: { ...event.meta, reason: "\0" } }],
    ["half a surrogate pair", { data: { text: "\ud800" } }],
    ["a number that JSON can't hold", { data: { n: Number.NaN } }],
    ["more than the log takes", { data: { text: "x".repeat(17 * 1024 * 1024) } }],
  ])("is refused with %s", (_, change) => {
    expect(() => prepare(change)).toThrow(/^an event of type ListCreated can't be stored: /);
  });

  test("may hold a backslash before the letters u0000", () => {
    expect(JSON.parse(prepare({ data: { text: "\\u0000" } }).body).data.text).toBe("\\u0000");
  });
});

test("the chain's hash is sha256(previous ‖ seq as 8 bytes ‖ sha256(body))", () => {
  const previous = Buffer.alloc(32, 7);
  const place = Buffer.from("0000010000000002", "hex");
  const content = Buffer.from(sha256Hex("{}"), "hex");
  expect(chainHash(previous, 2 ** 40 + 2, "{}").toString("hex")).toBe(
    sha256Hex(Buffer.concat([previous, place, content])),
  );
});
