import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ADMIN, portPolicy, startWorld, type World } from "../control/world.ts";
import { atATerminal } from "./at-a-terminal.ts";
import { openSluice, type Sluice } from "./sluice.ts";

/** A policy that asks for a reason, and commands on it that give none. */
const ASKED = "Why is it done? ";
const words = ["policy", "apply", "-f", "strict.yaml"];
let postgres: PostgresServer;
let world: World;
let sluice: Sluice;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  sluice = await openSluice({ url: world.url, token: ADMIN });
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await world?.stop();
  await postgres?.stop();
});

/** A text that isn't stored yet. */
async function change(port: number): Promise<void> {
  await sluice.file("strict.yaml", `${portPolicy("strict", port)}reason: required\n`);
}

async function newest(): Promise<{ revision: number; reason: string } | undefined> {
  const rows = await world.client.policies.ls.query({});
  const row = rows.find(({ policy }) => policy === "strict");
  if (row === undefined) return undefined;
  const history = await world.client.policies.history.query({ policy: "strict" });
  const found = history.find(({ revision }) => revision === row.revision);
  return { revision: row.revision, reason: found?.revised.reason ?? "" };
}

function typed(keys: string) {
  const { folder } = sluice;
  return atATerminal({ folder, url: world.url, token: ADMIN }, words, { asked: ASKED, keys });
}

test("with nobody to ask, a missing reason is refused with 2 and the option that gives it; nothing is stored", async () => {
  await change(1);
  const { code, stdout, stderr } = await sluice.run(words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("strict asks for a reason, and there is none");
  expect(stderr).toContain('--reason "…"');
  expect(stderr).not.toContain(ASKED);
  expect(await newest()).toBeUndefined();
});

test("at a terminal it is asked for, and what is answered is kept", async () => {
  await change(1);
  const { code, screen } = await typed("the portal waits\r");
  expect(screen).toContain(`strict asks for a reason, and there is none. ${ASKED}`);
  expect(code, screen).toBe(0);
  expect(await newest()).toEqual({ revision: 1, reason: "the portal waits" });
});

test.each([
  ["nothing but blanks", "  \r", 2],
  ["the end of input", "\x04", 2],
  ["Ctrl-C", "\x03", 130],
])("an answer of %s stores nothing", async (_, keys, exit) => {
  await change(2);
  const { code, screen } = await typed(keys);
  expect(code, screen).toBe(exit);
  if (exit === 2) expect(screen).toContain('→ say why: --reason "…"');
  expect((await newest())?.revision).toBe(1);
});

test("who gives a reason, or wants JSON, isn't asked at a terminal either", async () => {
  await change(2);
  const { folder } = sluice;
  const at = { folder, url: world.url, token: ADMIN };
  const json = await atATerminal(at, [...words, "--json"]);
  expect(json).toMatchObject({ code: 2, screen: expect.stringContaining('"path":"reason"') });
  const given = await atATerminal(at, [...words, "--reason", "the second one"]);
  expect(given.code, given.screen).toBe(0);
  expect(json.screen + given.screen).not.toContain(ASKED);
  expect(await newest()).toEqual({ revision: 2, reason: "the second one" });
});
