import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager, type StreamState } from "@nats-io/jetstream";
import { createUser } from "@nats-io/nkeys";
import { connect, jwtAuthenticator } from "@nats-io/transport-node";
import { createAgentLink } from "@sluice/agents/link/agent-link";
import type { Identity } from "@sluice/agents/link/identity";
import type { AgentLink, AgentLinkHandlers } from "@sluice/agents/link/link";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { openWitness } from "@sluice/control/audit/witnesses";
import { agentJwt, createAuthority, natsServerConfig } from "@sluice/control/link/authority";
import { type ControlLink, createControlLink } from "@sluice/control/link/control-link";
import type { LinkIn } from "@sluice/control/link/link";
import { startNats } from "@sluice/infra/fixtures/nats";
import { SluiceError } from "@sluice/proto/base/errors";
import { createSigningKey, signMessage } from "@sluice/proto/base/sign";
import type { Hits } from "@sluice/proto/wire/hits";
import type { Pulse, Report } from "@sluice/proto/wire/report";
import { BUCKETS, directGetSubject, STREAM_NAMES, subjects } from "@sluice/proto/wire/subjects";
import { signersOf } from "@sluice/proto/wire/succession";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

const control = createSigningKey();
const authority = await createAuthority();
let nats: Awaited<ReturnType<typeof startNats>>;
let link: ControlLink;
let folder: string;
const reports: Report[] = [];
const pulses: Pulse[] = [];
const counted: Hits[] = [];
/** what recording the next reports fails of */
const failures: Error[] = [];
const reportKeys = new Map<string, string>();
/** how often what NATS must hold was to be put again */
let connections = 0;
let confirmAnswer: Awaited<ReturnType<LinkIn["onConfirm"]>> = { ok: true };
const open: AgentLink[] = [];

const linkIn: LinkIn = {
  onConnected: () => {
    connections += 1;
  },
  reportKey: async (server) => reportKeys.get(server),
  onReport: async (report) => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    reports.push(report);
  },
  onPulse: (pulse) => void pulses.push(pulse),
  onHits: async (hits) => void counted.push(hits),
  onConfirm: async () => confirmAnswer,
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-link-"));
  nats = await startNats({ own: true, config: natsServerConfig(authority) });
  link = await createControlLink(
    { login: { urls: [nats.url], authority }, signingKey: control, log: { warn: () => undefined } },
    linkIn,
  );
});

afterAll(async () => {
  for (const agent of open) await agent.close();
  await link?.close();
  await nats?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function identityOf(server: string): Promise<Identity> {
  const user = createUser();
  const reportKey = createSigningKey();
  reportKeys.set(server, reportKey.publicKey);
  return {
    server,
    epoch: 1,
    keys: { [control.kid]: control.publicKey },
    nats: { urls: [nats.url], jwt: await agentJwt(authority, server, user.getPublicKey()) },
    control: [],
    reportKey,
    natsSeed: new TextDecoder().decode(user.getSeed()),
  };
}

async function agentOf(identity: Identity, handlers: Partial<AgentLinkHandlers> = {}): Promise<AgentLink> {
  const agent = await createAgentLink(
    {
      identity,
      spoolFolder: join(folder, identity.server),
      witnessFile: stateFolder(join(folder, identity.server)).witness,
      newId: randomUUID,
      now: () => new Date(),
    },
    {
      onDesired: () => undefined,
      onPlan: () => undefined,
      onAsk: async () => ({ ok: false, reason: "not asked" }),
      onControlPulse: () => undefined,
      ...handlers,
    },
  );
  open.push(agent);
  return agent;
}

function envelope(server: string, generation: number) {
  const manifest = { digest: "0".repeat(64), bytes: 1, chunks: 1 };
  return { v: 1 as const, server, epoch: 1, generation, manifest };
}

test("an agent is woken for its own envelope and reads it signed by control", async () => {
  const woken = vi.fn();
  const agent = await agentOf(await identityOf("alpha"), { onDesired: woken });
  await link.putDesired(envelope("alpha", 1));
  await vi.waitFor(() => expect(woken).toHaveBeenCalled());
  expect(await agent.fetchDesired()).toEqual({ ok: true, value: envelope("alpha", 1) });
});

test("an older generation never goes over a newer one", async () => {
  const agent = await agentOf(await identityOf("older"));
  await link.putDesired(envelope("older", 5));
  await link.putDesired(envelope("older", 4));
  expect(await agent.fetchDesired()).toMatchObject({ value: { generation: 5 } });
});

test("what another key signed is refused, even when it lies in the agent's own key", async () => {
  const identity = await identityOf("pinned");
  await link.putDesired(envelope("pinned", 1));
  const agent = await agentOf({ ...identity, keys: { other: createSigningKey().publicKey } });
  expect(await agent.fetchDesired()).toMatchObject({ ok: false });
});

test("a blob of several chunks comes back as it was, and a wrong digest is refused", async () => {
  const agent = await agentOf(await identityOf("blob"));
  const bytes = Buffer.alloc(1_300_000, "sluice ");
  const ref = await link.putBlob(bytes);
  expect(ref.chunks).toBe(3);
  expect(Buffer.from(await agent.fetchBlob(ref)).equals(bytes)).toBe(true);
  await expect(agent.fetchBlob({ ...ref, chunks: 2 })).rejects.toThrow("digest");
});

test("a report reaches control once, signed, also when the broker was away while it was made", async () => {
  const agent = await agentOf(await identityOf("reporter"));
  await nats.restart();
  await agent.report({ kind: "resumed" });
  const mine = () => reports.filter(({ server }) => server === "reporter");
  await vi.waitFor(() => expect(mine()).toHaveLength(1), { timeout: 20_000 });
  expect(mine()[0]?.body).toEqual({ kind: "resumed" });
});

describe("witness", () => {
  const hash = (letter: string) => letter.repeat(64);
  const signed = (seq: number, letter = "a") => {
    const value = { v: 1, epoch: 1, seq, hash: hash(letter), size: seq, root: hash("b"), at: "2026-01-01" };
    return signMessage(control, "checkpoint", value);
  };
  const word = { v: 1 as const, at: "", state: "idle" as const, epoch: 1, generation: 1, digest: "" };
  const pulseOf = (server: string) => ({ ...word, server, lists: {}, differences: 0 });

  /** What the server says in pulses that it has seen, once that is of this event. */
  async function seenBy(agent: AgentLink, seq: number): Promise<void> {
    await vi.waitFor(
      () => {
        agent.pulse(pulseOf(agent.server));
        const words = pulses
          .filter(({ server }) => server === agent.server)
          .flatMap(({ witness }) => witness ?? []);
        const key = reportKeys.get(agent.server) ?? "";
        const opened = words.map((message) =>
          openWitness(agent.server, key, signersOf({ [control.kid]: control.publicKey }, []), message),
        );
        expect(opened.at(-1)).toMatchObject({ ok: true, value: { checkpoint: { seq } } });
      },
      { timeout: 20_000 },
    );
  }

  test("a server says the newest checkpoint it has heard, signed, also after a restart, and passes over what is older", async () => {
    const identity = await identityOf("seer");
    const agent = await agentOf(identity);
    await link.tellCheckpoint(signed(7));
    await seenBy(agent, 7);
    await link.tellCheckpoint(signed(9));
    await link.tellCheckpoint(signed(8));
    await seenBy(agent, 9);
    await agent.close();
    const again = await agentOf(identity);
    await seenBy(again, 9);
  });

  test("control that signs two histories is told so, once", async () => {
    const agent = await agentOf(await identityOf("two-faced"));
    await link.tellCheckpoint(signed(20));
    await seenBy(agent, 20);
    for (let n = 0; n < 3; n += 1) await link.tellCheckpoint(signed(20, "c"));
    const mine = () => reports.filter(({ server }) => server === "two-faced").map(({ body }) => body);
    await vi.waitFor(() => expect(mine()).toHaveLength(1), { timeout: 20_000 });
    expect(mine()).toMatchObject([{ kind: "rejected", what: "the checkpoint of event 20" }]);
  });

  test("what control didn't sign isn't borne witness to", async () => {
    const agent = await agentOf(await identityOf("careful"));
    await link.tellCheckpoint(signMessage(createSigningKey(), "checkpoint", { seq: 99 }));
    await link.tellCheckpoint(signMessage(control, "pulse", JSON.parse(signed(98).body)));
    await link.tellCheckpoint(signed(30));
    await seenBy(agent, 30);
  });
});

test("checkpoints are kept in a stream of their own, whose newest is found, and which can't be purged", async () => {
  expect(await link.lastCheckpoint()).toBeUndefined();
  const put = [1, 2].map((seq) => signMessage(control, "checkpoint", { seq }));
  for (const [n, message] of put.entries()) await link.putCheckpoint(`1-${n}`, message);
  expect(JSON.parse((await link.lastCheckpoint()) ?? "")).toEqual(put[1]);
  await using looking = await lookIntoStreams();
  await expect(looking.manager.streams.purge("CHECKPOINTS")).rejects.toThrow("not permitted");
  await expect(looking.manager.streams.deleteMessage("CHECKPOINTS", 1)).rejects.toThrow("not permitted");
});

test("a report signed by another server's key is dropped", async () => {
  const identity = await identityOf("forger");
  const forger = await agentOf({ ...identity, reportKey: createSigningKey() });
  await forger.report({ kind: "resumed" });
  const honest = await agentOf(await identityOf("witness"));
  await honest.report({ kind: "resumed" });
  await vi.waitFor(() => expect(reports.some(({ server }) => server === "witness")).toBe(true));
  expect(reports.some(({ server }) => server === "forger")).toBe(false);
});

test("while the database is away no report overtakes another", async () => {
  const agent = await agentOf(await identityOf("ordered"));
  failures.push(new SluiceError("UNAVAILABLE", "the database is away"));
  for (const by of ["first", "second"])
    await agent.report({ kind: "paused", until: "2026-01-01T00:00:00.000Z", reason: "", by });
  const mine = () => reports.flatMap(({ server, body }) => (server === "ordered" ? [body] : []));
  await vi.waitFor(() => expect(mine()).toHaveLength(2), { timeout: 10_000 });
  expect(mine()).toMatchObject([{ by: "first" }, { by: "second" }]);
});

test("a report that can't be recorded holds nobody up, and comes again", async () => {
  const odd = await agentOf(await identityOf("odd"));
  const honest = await agentOf(await identityOf("honest"));
  failures.push(new TypeError("nobody foresaw this"));
  await odd.report({ kind: "resumed" });
  await vi.waitFor(() => expect(failures).toEqual([]), { timeout: 5_000 });
  await honest.report({ kind: "resumed" });
  const from = (name: string) => reports.filter(({ server }) => server === name).length;
  await vi.waitFor(() => expect(from("honest")).toBe(1), { timeout: 5_000 });
  await vi.waitFor(() => expect(from("odd")).toBe(1), { timeout: 10_000 });
});

/** A report whose text no agent of ours would write, signed all the same. */
function signedByHand({ server, reportKey }: Identity, reason: string): string {
  const body = JSON.stringify({
    ...{ v: 1, server, id: randomUUID(), at: new Date().toISOString() },
    body: { kind: "rejected", what: "x", reason },
  });
  const key = createPrivateKey({
    key: Buffer.from(reportKey.privateKey, "base64"),
    type: "pkcs8",
    format: "der",
  });
  const sig = sign(null, Buffer.from(`sluice/v1/report\n${body}`), key).toString("base64");
  return JSON.stringify({ kid: reportKey.kid, body, sig });
}

test("nonsense from a server that is enrolled is dropped, and nobody waits for it", async () => {
  const identity = await identityOf("vandal");
  const connection = await connect({
    servers: identity.nats.urls,
    inboxPrefix: "_INBOX_vandal",
    authenticator: jwtAuthenticator(identity.nats.jwt ?? "", new TextEncoder().encode(identity.natsSeed)),
  });
  const fine = "a \\ud800 that is text";
  for (const text of [
    ...["", "{", '{"kid":"constructor","body":"{}","sig":""}', '{"kid":"__proto__","body":1}'],
    ...["a\0b", "a\ud800b", "\\\udfff", fine].map((reason) => signedByHand(identity, reason)),
  ])
    connection.publish(subjects.report("vandal"), text);
  await connection.drain();
  const mine = () => reports.flatMap(({ server, body }) => (server === "vandal" ? [body] : []));
  await vi.waitFor(() => expect(mine()).toHaveLength(1), { timeout: 5_000 });
  expect(mine()).toMatchObject([{ reason: fine }]);
});

test("a broker's nonsense is refused by an agent and doesn't end it", async () => {
  const agent = await agentOf(await identityOf("hearing"));
  const heard: unknown[] = [];
  agent.followLists(["bans"], (delta) => heard.push(delta));
  const user = {
    login: { urls: [nats.url], authority },
    signingKey: createSigningKey(),
    log: { warn: () => undefined },
  };
  const forger = await createControlLink(user, { ...linkIn, onReport: async () => undefined });
  const entry = { epoch: 1, list: "bans", rev: 1, previous: "", digest: "", add: [], del: [], at: "" };
  try {
    const head = { epoch: 1, list: "bans", rev: 1, digest: "", tail: [], retired: false };
    await vi.waitFor(async () => {
      await forger.putList(entry, head);
      expect(heard[0]).toMatchObject({ ok: false });
    });
    expect(await agent.fetchList("bans")).toMatchObject({ ok: false });
  } finally {
    await forger.close();
  }
});

test("a confirm is asked over a new connection and control's no comes back with its reason", async () => {
  const agent = await agentOf(await identityOf("confirmer"));
  const request = { epoch: 1, generation: 1, digest: "", phase: "confirm" as const, reach: [] };
  expect(await agent.confirm(request, 3_000)).toEqual({ ok: true });
  confirmAnswer = { ok: false, reason: "192.0.2.1:22 can't be reached" };
  expect(await agent.confirm(request, 3_000)).toEqual(confirmAnswer);
});

test("an ask is answered by the agent, and one that is away is named", async () => {
  await agentOf(await identityOf("asked"), { onAsk: async () => ({ ok: false, reason: "busy" }) });
  expect(await link.ask("asked", { what: "status" }, 2_000)).toEqual({ ok: false, reason: "busy" });
  expect(await link.ask("nobody", { what: "status" }, 500)).toMatchObject({
    ok: false,
    reason: expect.stringContaining("no responders"),
  });
});

test("an agent's login can't read another server's key, hear another's wakes or make a consumer", async () => {
  const identity = await identityOf("curious");
  await link.putDesired(envelope("victim", 1));
  const connection = await connect({
    servers: identity.nats.urls,
    inboxPrefix: "_INBOX_curious",
    authenticator: jwtAuthenticator(identity.nats.jwt ?? "", new TextEncoder().encode(identity.natsSeed)),
  });
  try {
    const ask = (subject: string) => connection.request(subject, "", { timeout: 1_000 });
    await expect(ask(directGetSubject(BUCKETS.desired, "victim"))).rejects.toThrow(/ermission/);
    await expect(ask("$JS.API.CONSUMER.CREATE.KV_desired")).rejects.toThrow(/ermission/);
    await expect(ask("$JS.API.STREAM.INFO.KV_desired")).rejects.toThrow(/ermission/);
    const stolen = new Promise((resolve) =>
      connection.subscribe(subjects.wake("victim"), { callback: (error) => resolve(error?.message) }),
    );
    expect(await stolen).toMatch(/ermission/);
  } finally {
    await connection.close();
  }
});

test("events go into the stream in the log's order, and twice is once", async () => {
  await link.putEvent(1, "PolicyRevised", "one");
  await link.putEvent(2, "PolicyRevised", "two");
  await link.putEvent(2, "PolicyRevised", "two");
  expect(await link.lastEvent()).toBe(2);
  await expect(link.putEvent(4, "PolicyRevised", "four")).rejects.toThrow("can't follow");
});

test("counts of rules reach control signed by their server's key, and no other server's", async () => {
  const hits = { counter: "c", policy: "door", revision: 1, since: new Date().toISOString(), counts: [] };
  const agent = await agentOf(await identityOf("counter"));
  await agent.hits(hits);
  expect(counted).toEqual([{ v: 1, server: "counter", ...hits }]);
  const forged = await agentOf({ ...(await identityOf("forged")), reportKey: createSigningKey() });
  await expect(forged.hits(hits)).rejects.toThrow("control didn't take it: signed by an unknown key");
  expect(counted).toHaveLength(1);
});

test("an agent's answers stay among agents, whatever they are asked to go to: no command to the broker, nothing in a stream", async () => {
  const identity = await identityOf("robber");
  await link.putDesired(envelope("robber", 1));
  const before = await streamStates();
  const connection = await connect({
    servers: identity.nats.urls,
    inboxPrefix: "_INBOX_robber",
    authenticator: jwtAuthenticator(identity.nats.jwt ?? "", new TextEncoder().encode(identity.natsSeed)),
  });
  const { desired, plans, lists, blobs } = BUCKETS;
  const asks = [
    directGetSubject(desired, "robber"),
    // the broker's answer "not there" is an empty request to its own API
    directGetSubject(plans, "robber.none"),
    directGetSubject(lists, "none"),
    directGetSubject(blobs, "none.0"),
  ];
  const targets = [
    ...STREAM_NAMES.flatMap((name) => ["PURGE", "DELETE"].map((verb) => `$JS.API.STREAM.${verb}.${name}`)),
    "$JS.API.CONSUMER.DELETE.REPORTS.control",
    ...[subjects.event("Forged"), subjects.checkpoint, subjects.list("bans"), subjects.report("victim")],
    ...[subjects.report("robber"), directGetSubject(desired, "victim"), "$KV.desired.victim"],
  ];
  for (const reply of targets) {
    for (const ask of asks) connection.publish(ask, "", { reply });
  }
  await connection.flush();
  // answered after all of the above
  for (const ask of asks) await connection.request(ask, "", { timeout: 10_000 });
  expect(await streamStates()).toEqual(before);
  connection.publish(subjects.report("robber"), "nonsense", { reply: "$JS.API.STREAM.DELETE.EVENTS" });
  connection.publish(subjects.report("robber"), "nonsense", { reply: subjects.event("Forged") });
  await connection.request(subjects.report("robber"), "nonsense", { timeout: 10_000 });
  const reported = (before.REPORTS?.last_seq ?? 0) + 3;
  expect(await streamStates()).toEqual({
    ...before,
    REPORTS: { last_seq: reported, messages: reported, consumer_count: 1 },
  });
  await connection.close();
});

/** How far each stream is, and what is in it. */
async function streamStates() {
  await using looking = await lookIntoStreams();
  const states: Record<string, Pick<StreamState, "last_seq" | "messages" | "consumer_count">> = {};
  for await (const { config, state } of looking.manager.streams.list()) {
    const { last_seq, messages, consumer_count } = state;
    states[config.name] = { last_seq, messages, consumer_count };
  }
  return states;
}

test("streams that somebody took away are there again, and everything goes on", async () => {
  const agent = await agentOf(await identityOf("robbed"));
  {
    await using looking = await lookIntoStreams();
    for (const name of STREAM_NAMES) await looking.manager.streams.delete(name);
  }
  const filled = connections;
  await link.mend();
  expect(connections).toBe(filled + 1);
  expect(await link.lastEvent()).toBe(0);
  await link.putDesired(envelope("robbed", 1));
  expect(await agent.fetchDesired()).toMatchObject({ ok: true, value: { generation: 1 } });
  await agent.report({ kind: "resumed" });
  const mine = () => reports.filter(({ server }) => server === "robbed");
  await vi.waitFor(() => expect(mine()).toHaveLength(1), { timeout: 20_000 });
});

/** A login where the streams are, as control has one. */
async function lookIntoStreams() {
  const { seed, streamsJwt } = authority.control;
  const authenticator = jwtAuthenticator(streamsJwt, new TextEncoder().encode(seed));
  const connection = await connect({ servers: [nats.url], authenticator });
  const manager = await jetstreamManager(connection);
  return { manager, [Symbol.asyncDispose]: () => connection.close() };
}
