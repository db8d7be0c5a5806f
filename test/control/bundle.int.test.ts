import { checkBundle } from "@sluice/control/audit/check-bundle";
import { eraseActor } from "@sluice/db/log/erase";
import { chainHash } from "@sluice/db/log/event-body";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { AuditBundleInput } from "@sluice/proto/api/proof";
import { createSigningKey, type KeySet, keyId, openMessage, signMessage } from "@sluice/proto/base/sign";
import { type BundleEvent, type BundleHeader, type BundleLine, bundleLine } from "@sluice/proto/wire/bundle";
import { checkpoint } from "@sluice/proto/wire/checkpoint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWorld, type World } from "./world.ts";

const PATIENCE_MS = 30_000;
let postgres: PostgresServer;
let world: World;
let whole: BundleLine[];
let pinned: KeySet;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  await world.join("s1");
  for (const list of ["one", "two"]) await world.client.lists.create.mutate({ list, reason: "for a test" });
  await signedNow();
  await world.client.lists.create.mutate({ list: "three" });
  await signedNow();
  for (const list of ["four", "five", "six"]) await world.client.lists.create.mutate({ list });
  whole = await exported();
  pinned = headerOf(whole).keys;
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

/** A checkpoint of the log as it is; s1 has seen it. */
async function signedNow(): Promise<void> {
  const { seq } = (await world.client.audit.verify.query()).head;
  world.pass(60_000);
  const of = () => world.link.told.find(({ body }) => checkpoint.parse(JSON.parse(body)).seq === seq);
  await waitUntil(`the checkpoint of event ${seq}`, PATIENCE_MS, () => of() !== undefined);
  const message = of();
  if (message) world.sees("s1", message);
  await waitUntil("s1's word", PATIENCE_MS, async () => {
    return (await world.client.servers.show.query({ server: "s1" })).witness?.seq === seq;
  });
}

async function exported(input: AuditBundleInput = {}): Promise<BundleLine[]> {
  const lines: string[] = [];
  for (let at: AuditBundleInput["at"]; ; ) {
    const part = await world.client.audit.bundle.query({ ...input, ...(at && { at }) });
    lines.push(...part.lines);
    if (part.next === undefined) return lines.map((line) => bundleLine.parse(JSON.parse(line)));
    at = part.next;
  }
}

function headerOf([first]: readonly BundleLine[]): BundleHeader {
  if (first === undefined || !("bundle" in first)) throw new Error("no header");
  return first.bundle;
}

/** With the key that servers pin, unless said. */
async function check(lines: readonly (BundleLine | string)[], keys: KeySet | "its own" = pinned) {
  async function* texts() {
    for (const line of lines) yield typeof line === "string" ? line : JSON.stringify(line);
  }
  return await checkBundle(texts(), keys === "its own" ? undefined : keys);
}

function eventsOf(lines: readonly BundleLine[]): BundleEvent[] {
  return lines.flatMap((line) => ("event" in line ? [line.event] : []));
}

/** The bundle with one event's line made another, or left out. */
function withEvent(seq: number, edit: (event: BundleEvent) => BundleEvent[]): BundleLine[] {
  return whole.flatMap((line) =>
    "event" in line && line.event.seq === seq ? edit(line.event).map((event) => ({ event })) : [line],
  );
}

function swapped(one: number, other: number): BundleLine[] {
  const [first, second] = [one, other].map((seq) => eventsOf(whole).find((event) => event.seq === seq));
  if (first === undefined || second === undefined) throw new Error("no such events");
  return whole.map((line) => {
    if (!("event" in line)) return line;
    if (line.event === first) return { event: second };
    return line.event === second ? { event: first } : line;
  });
}

/** An event that nobody appended, sound in itself and with its own hash; those after it move on. */
function insertedAt(seq: number): BundleLine[] {
  return whole.flatMap((line): BundleLine[] => {
    if (!("event" in line) || line.event.seq < seq) return [line];
    const { inclusion: _, ...event } = line.event;
    const moved = { event: { ...event, seq: event.seq + 1 } };
    if (event.seq > seq) return [moved];
    const body = event.body.replaceAll("three", "other");
    const hash = chainHash(Buffer.from(event.prev, "hex"), seq, body).toString("hex");
    return [{ event: { ...event, body, hash } }, moved];
  });
}

/** All hashes from there on made anew, as they follow from the other body. */
function rechained(first: number): BundleLine[] {
  let prev = "";
  return whole.map((line) => {
    if (!("event" in line) || line.event.seq < first) return line;
    const { event } = line;
    const body = event.seq === first ? event.body.replace('"list":"three"', '"list":"eerht"') : event.body;
    const before = prev === "" ? event.prev : prev;
    prev = chainHash(Buffer.from(before, "hex"), event.seq, body).toString("hex");
    return { event: { ...event, body, prev: before, hash: prev } };
  });
}

describe("a bundle of the whole log", () => {
  test("is whole, by the key that servers pin, with checkpoints and what servers have seen", async () => {
    const { events } = await world.client.audit.verify.query();
    const view = await check(whole);
    expect(view).toMatchObject({ ok: true, events, from: 1, to: events, signedUpTo: events, pinned: true });
    expect(view).toMatchObject({ witnesses: 1, notes: [], findings: [] });
    expect(view.checkpoints).toBeGreaterThanOrEqual(3);
  });

  test("says that its keys are its own word where none is pinned, and isn't believed where another is", async () => {
    const { ok, notes } = await check(whole, "its own");
    expect([ok, notes.join()]).toEqual([true, expect.stringContaining("bundle's own word")]);
    const { publicKey } = createSigningKey();
    const { findings } = await check(whole, { [keyId(publicKey)]: publicKey });
    expect(findings.map(({ tampering }) => tampering)).toContain("forged");
  });

  const five = { seq: 5, type: "ListCreated", stream: "list-three" };
  test.each([
    [
      "an edited body",
      { ...five, tampering: "edited" },
      () => withEvent(5, (event) => [{ ...event, body: event.body.replace("three", "eerht") }]),
    ],
    [
      "another reason put beside",
      { seq: 4, tampering: "altered" },
      () => withEvent(4, (event) => [{ ...event, reason: { salt: event.reason?.salt ?? "", value: "no" } }]),
    ],
    [
      "another previous hash",
      { ...five, tampering: "altered" },
      () => withEvent(5, (event) => [{ ...event, prev: "0".repeat(64) }]),
    ],
    [
      "another hash",
      { ...five, tampering: "edited" },
      () => withEvent(5, (event) => [{ ...event, hash: "0".repeat(64) }]),
    ],
    ["an event left out", { seq: 5, tampering: "deleted" }, () => withEvent(5, () => [])],
    ["the first left out", { seq: 1, tampering: "deleted" }, () => withEvent(1, () => [])],
    ["two that changed places", { ...five, tampering: "moved" }, () => swapped(5, 6)],
    [
      "an event put between",
      { seq: 5, type: "ListCreated", stream: "list-other", tampering: "added" },
      () => insertedAt(5),
    ],
    [
      "two whose bodies changed places",
      { seq: 5, tampering: "edited" },
      () => {
        const bodies = new Map(eventsOf(whole).map(({ seq, body }) => [seq, body]));
        return whole.map((line) => {
          if (!("event" in line) || ![5, 6].includes(line.event.seq)) return line;
          return { event: { ...line.event, body: bodies.get(11 - line.event.seq) ?? "" } };
        });
      },
    ],
    [
      "an actor put beside under another salt",
      { seq: 5, tampering: "altered" },
      () => withEvent(5, (event) => [{ ...event, actor: { salt: "00", value: event.actor?.value ?? "" } }]),
    ],
    [
      "the tail cut off",
      { seq: 7, tampering: "truncated" },
      () =>
        whole.slice(
          0,
          whole.findIndex((line) => "event" in line && line.event.seq === 7),
        ),
    ],
    ["only the last line cut off", { tampering: "incomplete" }, () => whole.slice(0, -1)],
    [
      "a history written anew with all its hashes, between the checkpoints that know better",
      { seq: 5, tampering: "rewritten" },
      () => rechained(5),
    ],
  ])("tells %s, and names the first bad event", async (_, expected, tamper) => {
    const { ok, findings } = await check(tamper());
    expect(ok).toBe(false);
    expect(findings[0]).toMatchObject(expected);
    expect(findings[0]).not.toHaveProperty("upTo");
  });

  test("tells a key put under another's name, also by its own word", async () => {
    const { publicKey } = createSigningKey();
    const header = headerOf(whole);
    const keys = Object.fromEntries(Object.keys(header.keys).map((kid) => [kid, publicKey]));
    const swappedKeys = [{ bundle: { ...header, keys } }, ...whole.slice(1)];
    const { ok, findings } = await check(swappedKeys, "its own");
    expect([ok, findings.map(({ tampering }) => tampering)]).toEqual([
      false,
      expect.arrayContaining(["forged"]),
    ]);
    expect(await check(swappedKeys)).toMatchObject({ ok: true, pinned: true });
  });

  test("tells a line that was cut in the middle", async () => {
    const last = whole.findLastIndex((line) => "event" in line);
    const { findings } = await check([...whole.slice(0, last), JSON.stringify(whole[last]).slice(0, 50)]);
    expect(findings[0]).toMatchObject({ seq: eventsOf(whole).length });
    expect(findings.map(({ tampering }) => tampering).sort()).toEqual([
      "incomplete",
      "incomplete",
      "truncated",
    ]);
  });

  test("tells a forged checkpoint, and a server's word that isn't its own", async () => {
    const forger = createSigningKey();
    const forged = whole.map((line) => {
      if (!("checkpoint" in line)) return line;
      const opened = openMessage(pinned, "checkpoint", checkpoint, JSON.stringify(line.checkpoint.message));
      return { checkpoint: { ...line.checkpoint, message: signMessage(forger, "checkpoint", opened) } };
    });
    const { findings } = await check(forged);
    expect(findings.every(({ tampering }) => tampering === "forged")).toBe(true);
    expect(findings.map(({ seq }) => seq)).toEqual(expect.arrayContaining([4, 5]));
    const lied = whole.map((line) =>
      "witness" in line ? { witness: { ...line.witness, server: "s2" } } : line,
    );
    expect((await check(lied)).findings).toMatchObject([{ tampering: "forged" }]);
  });

  test("rewritten and signed by whoever did it, is taken by its own word and by no pinned key", async () => {
    const forger = createSigningKey();
    const events = eventsOf(rechained(5));
    const last = events.at(-1);
    const value = {
      v: 1,
      epoch: 1,
      seq: last?.seq,
      hash: last?.hash,
      size: last?.seq,
      root: "0".repeat(64),
      at: "",
    };
    const message = signMessage(forger, "checkpoint", value);
    const header = { ...headerOf(whole), keys: { [forger.kid]: forger.publicKey }, checkpoint: message };
    const bundle = [
      { bundle: header },
      ...events.map(({ inclusion: _, ...event }) => ({ event })),
      { end: { events: events.length } },
    ];
    expect(await check(bundle, "its own")).toMatchObject({ ok: true, pinned: false });
    expect((await check(bundle)).findings.some(({ tampering }) => tampering === "forged")).toBe(true);
  });
});

describe("a part of the log", () => {
  test("by range is proven by what was signed of the whole, and says that it is a part", async () => {
    const part = await exported({ from: 3, to: 5 });
    const view = await check(part);
    expect(view).toMatchObject({ ok: true, events: 3, from: 3, to: 5 });
    expect(view.notes.join()).toContain("the events 3 to 5 of a log of");
    const edited = part.map((line) =>
      "event" in line && line.event.seq === 4
        ? { event: { ...line.event, body: line.event.body.replace("two", "owt") } }
        : line,
    );
    expect((await check(edited)).findings[0]).toMatchObject({ seq: 4, tampering: "edited" });
    const rewritten = part.map((line) => {
      if (!("event" in line) || line.event.seq !== 5) return line;
      const body = line.event.body.replace("three", "eerht");
      const hash = chainHash(Buffer.from(line.event.prev, "hex"), 5, body).toString("hex");
      return { event: { ...line.event, body, hash } };
    });
    expect((await check(rewritten)).findings[0]).toMatchObject({ tampering: "rewritten" });
  });

  test("by filters has those events, each proven by itself", async () => {
    const selection = await exported({ types: ["ListCreated"], list: "four" });
    expect(eventsOf(selection).map(({ seq }) => seq)).toEqual([6]);
    const view = await check(selection);
    expect(view).toMatchObject({ ok: true, events: 1, from: 6, to: 6 });
    expect(view.notes.join()).toContain("not that nothing was left out");
    const unproven = selection.map((line) => {
      if (!("event" in line)) return line;
      const { inclusion: _, ...event } = line.event;
      return { event };
    });
    expect((await check(unproven)).findings[0]).toMatchObject({ seq: 6, tampering: "incomplete" });
  });

  test("beyond the log's end is refused", async () => {
    await expect(exported({ from: 1_000 })).rejects.toMatchObject({ data: { sluice: { code: "INVALID" } } });
  });
});

test("what was erased isn't in a bundle, and the bundle is whole", async () => {
  await world.database((database) => eraseActor(database, "admin"));
  const bundle = await exported();
  expect(JSON.stringify(bundle)).not.toContain('"value":"admin"');
  expect(JSON.stringify(whole)).toContain('"value":"admin"');
  expect(await check(bundle)).toMatchObject({ ok: true });
});
