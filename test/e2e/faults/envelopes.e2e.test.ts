import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { createSigningKey, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import type { DesiredEnvelope } from "@sluice/proto/wire/envelope";
import type { ListDelta } from "@sluice/proto/wire/list";
import { subjects } from "@sluice/proto/wire/subjects";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kernelText } from "../kernel-text.ts";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, knock } from "./door.ts";
import { type BrokerView, dataOf, lookIntoBroker, readLog, startFaultLab } from "./fault-lab.ts";

/** Somebody has control's own login to the broker, and not its signing key. */
const DESIRED = "$KV.desired.server-1";

let lab: Lab;
let broker: BrokerView;
let namespace: string;
let genuine: Uint8Array;
let older: Uint8Array;
beforeAll(async () => {
  lab = await startFaultLab(2);
  broker = await lookIntoBroker(lab);
  ({ namespace } = lab.fabric.host("server-1"));
  await lab.client.lists.create.mutate({ list: "bans" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  older = await envelopeOf("server-1");
  await shutAnother(80);
});
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await lab?.stop();
});

/** A genuine change of server-1, through control. */
async function shutAnother(port: number): Promise<void> {
  await applyPolicy(lab, doorPolicy(lab, { shut: port }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  expect(await knock(lab, "server-1", port)).toBe("refused");
  genuine = await envelopeOf("server-1");
}

async function envelopeOf(server: string): Promise<Uint8Array> {
  const bytes = await broker.newest("KV_desired", `$KV.desired.${server}`);
  if (bytes === undefined) throw new Error(`there is no envelope for ${server}`);
  return bytes;
}

function bodyOf(bytes: Uint8Array): DesiredEnvelope {
  return JSON.parse(JSON.parse(Buffer.from(bytes).toString()).body);
}

async function rejections(): Promise<{ server: string; what: string; reason: string }[]> {
  return dataOf(await readLog(lab), "MessageRejected");
}

/** Puts something where server-1 looks, wakes it, and waits for what it says of it. */
async function putAndWake(bytes: string | Uint8Array) {
  const before = await rejections();
  await broker.put(DESIRED, bytes);
  broker.say(subjects.wake("server-1"), JSON.stringify({ what: "desired" }));
  await waitUntil("a rejection", 60_000, async () => (await rejections()).length > before.length);
  return (await rejections()).slice(before.length);
}

const forgeries: [string, (next: DesiredEnvelope) => Promise<string | Uint8Array>, RegExp][] = [
  [
    "signed by another key",
    async (next) => JSON.stringify(signMessage(createSigningKey(), "desired", next)),
    /^signed by an unknown key [0-9a-f]{16}$/,
  ],
  [
    "with control's key id and another's signature",
    async (next) => {
      const { kid } = JSON.parse(Buffer.from(genuine).toString());
      return JSON.stringify({ ...signMessage(createSigningKey(), "desired", next), kid });
    },
    /^wrong signature$/,
  ],
  ["for another server, genuine", () => envelopeOf("server-2"), /^it is for server server-2$/],
  [
    "with a genuine signature and another body",
    async (next) =>
      JSON.stringify({ ...JSON.parse(Buffer.from(genuine).toString()), body: JSON.stringify(next) }),
    /^wrong signature$/,
  ],
  [
    "of an older generation, genuine once",
    async () => older,
    /^generation 1 of epoch 1 is older than generation \d+/,
  ],
  ["of bytes that mean nothing", async () => Buffer.from([0xff, 0x00, 0x7b, 0x22]), /^not a signed message$/],
];

test.each(forgeries)(
  "an envelope %s is refused and reported, and the kernel stays as it is",
  async (_, forge, reason) => {
    const before = await kernelText(namespace, "nft");
    const said = await putAndWake(await forge(much(bodyOf(genuine))));
    expect(said).toEqual([{ server: "server-1", what: "envelope", reason: expect.stringMatching(reason) }]);
    expect(await kernelText(namespace, "nft")).toBe(before);
  },
);

/** The same content, newer than anything. */
function much(envelope: DesiredEnvelope): DesiredEnvelope {
  return { ...envelope, generation: envelope.generation + 1000 };
}

test("whatever lies there, control's next decision takes its place and is obeyed", async () => {
  for (const [index, [, forge]] of forgeries.entries()) {
    await broker.put(DESIRED, await forge(much(bodyOf(genuine))));
    await shutAnother(index % 2 === 0 ? 9000 : 80);
  }
});

test("a manifest whose bytes aren't those that were signed for is refused with that reason, the kernel stays as it is, and put anew it is taken", async () => {
  const before = await kernelText(namespace, "nft");
  await lab.agent("server-1").down();
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000, deadline: "40s" }));
  const only = { policy: "door", servers: ["server-1"] };
  const { rollout } = await lab.client.rollouts.start.mutate(only);
  await waitUntil(
    "the new envelope",
    30_000,
    async () => bodyOf(await envelopeOf("server-1")).rollout === rollout,
  );
  const { digest } = bodyOf(await envelopeOf("server-1")).manifest;
  const blob = `$KV.blobs.${digest}.0`;
  const right = Buffer.from((await broker.newest("KV_blobs", blob)) ?? "").toString();
  await broker.put(blob, right.replace("--dport 9000", "--dport 9001"));
  lab.agent("server-1").start();
  const view = await endOf(lab, rollout);
  expect(view).toMatchObject({ state: "halted" });
  expect(view.haltedBecause).toMatch(/^server-1 refused: .* doesn't match its digest$/);
  expect(await kernelText(namespace, "nft")).toBe(before);

  expect(await rollOut(lab, "door", { servers: ["server-1"] })).toMatchObject({ state: "completed" });
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
});

async function controlsKey(): Promise<SigningKey> {
  return JSON.parse(await readFile(join(lab.folder, "control/signing-key.json"), "utf8"));
}

async function bans(): Promise<string> {
  return await execIn(namespace, "ipset", ["list", "sl-l-bans-4"]);
}

async function ban(address: string): Promise<void> {
  await lab.client.lists.change.mutate({ list: "bans", add: [address] });
  await waitUntil(`${address} in the kernel`, 30_000, async () => (await bans()).includes(address));
}

async function deltaAfter(rev: number, previous: string): Promise<ListDelta> {
  const forged = { add: [{ entry: "198.51.100.66" }], del: [], at: new Date().toISOString() };
  return { epoch: 1, list: "bans", rev: rev + 1, previous, digest: "f".repeat(64), ...forged };
}

test("a list's delta that control didn't sign is refused and reported, and its address isn't blocked", async () => {
  await ban("198.51.100.1");
  const { rev, digest } = await lab.client.lists.show.query({ list: "bans" });
  const before = await rejections();
  const delta = await deltaAfter(rev, digest);
  await broker.put(subjects.list("bans"), JSON.stringify(signMessage(createSigningKey(), "list", delta)));
  await broker.put(subjects.list("bans"), "{}");
  await ban("198.51.100.2");
  await waitUntil("both rejections", 30_000, async () => (await rejections()).length >= before.length + 4);
  const said = (await rejections()).slice(before.length).filter(({ server }) => server === "server-1");
  expect(said).toEqual([
    { server: "server-1", what: "list delta", reason: expect.stringMatching(/^signed by an unknown key/) },
    { server: "server-1", what: "list delta", reason: "not a signed message" },
  ]);
  expect(await bans()).not.toContain("198.51.100.66");
});

test("a delta that control signed once and that doesn't follow what is held changes nothing: the list is fetched anew", async () => {
  const key = await controlsKey();
  await ban("198.51.100.3");
  const { rev } = await lab.client.lists.show.query({ list: "bans" });
  const first = await broker.manager.streams.getMessage("LISTS", { seq: 1 });
  await broker.put(subjects.list("bans"), first?.data ?? "");
  await broker.put(
    subjects.list("bans"),
    JSON.stringify(signMessage(key, "list", await deltaAfter(rev, "0".repeat(64)))),
  );
  await broker.put(
    subjects.list("bans"),
    JSON.stringify(signMessage(key, "list", await deltaAfter(rev + 7, "0".repeat(64)))),
  );
  await ban("198.51.100.4");
  const held = await bans();
  expect(held).not.toContain("198.51.100.66");
  for (const last of [1, 2, 3, 4]) expect(held).toContain(`198.51.100.${last} `);
});

test("a list's head that control didn't sign is refused and reported, and what is blocked stays blocked", async () => {
  const head = { epoch: 1, list: "bans", rev: 999, digest: "0".repeat(64), tail: [], retired: true };
  await broker.put("$KV.lists.bans", JSON.stringify(signMessage(createSigningKey(), "list", head)));
  const before = await rejections();
  await lab.agent("server-1").down();
  lab.agent("server-1").start();
  await waitUntil("a rejection", 60_000, async () => (await rejections()).length > before.length);
  expect((await rejections()).at(-1)).toMatchObject({ what: "list bans", reason: /unknown key/ });
  expect(await bans()).toContain("198.51.100.4 ");
  await ban("198.51.100.5");
});
