import { expect, test } from "vitest";
import { z } from "zod";
import { createSigningKey, openMessage, signMessage } from "./sign.ts";

const key = createSigningKey();
const keys = { [key.kid]: key.publicKey };
const signed = signMessage(key, "list", { n: 1 });
const body = z.strictObject({ n: z.int() });

test("what was signed with a pinned key, for this purpose, is opened", () => {
  expect(openMessage(keys, "list", body, JSON.stringify(signed))).toEqual({ ok: true, value: { n: 1 } });
});

test.each([
  ["no JSON", "{"],
  ["no message", "[]"],
  ["an unknown key", { ...signed, kid: "0123456789abcdef" }],
  ["a key by a name that every object has", { ...signed, kid: "constructor" }],
  ["and another", { ...signed, kid: "__proto__" }],
  ["no signature", { ...signed, sig: "" }],
  ["another's signature", { ...signed, sig: signMessage(createSigningKey(), "list", { n: 1 }).sig }],
  ["a body changed afterwards", { ...signed, body: signed.body.replace("1", "2") }],
  ["half a character", { ...signed, body: "\ud800" }],
])("%s is told, never thrown", (_, message) => {
  const text = typeof message === "string" ? message : JSON.stringify(message);
  expect(openMessage(keys, "list", body, text)).toMatchObject({ ok: false });
});

test("a message of another kind doesn't pass for this one", () => {
  expect(openMessage(keys, "pulse", body, JSON.stringify(signed))).toMatchObject({ ok: false });
});

test("a pinned key that is none is told, never thrown", () => {
  const pinned = { [key.kid]: "nonsense" };
  expect(openMessage(pinned, "list", body, JSON.stringify(signed))).toMatchObject({ ok: false });
});
