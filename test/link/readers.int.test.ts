import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, credsAuthenticator, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { createAuthority, natsServerConfig, readerCredentials } from "@sluice/control/link/authority";
import { type ControlLink, createControlLink } from "@sluice/control/link/control-link";
import { startNats } from "@sluice/infra/fixtures/nats";
import { createSigningKey } from "@sluice/proto/base/sign";
import { inboxPrefix } from "@sluice/proto/wire/permissions";
import { subjects } from "@sluice/proto/wire/subjects";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** Two readers of the feed, with the logins they get. One does its worst. */
const authority = await createAuthority();
const EVENTS = 9;
let nats: Awaited<ReturnType<typeof startNats>>;
let link: ControlLink;
let control: NatsConnection;
const open: NatsConnection[] = [];

beforeAll(async () => {
  nats = await startNats({ own: true, config: natsServerConfig(authority) });
  link = await createControlLink(
    {
      login: { urls: [nats.url], authority },
      signingKey: createSigningKey(),
      log: { warn: () => undefined },
    },
    {
      onConnected: () => undefined,
      reportKey: async () => undefined,
      onReport: async () => undefined,
      onPulse: () => undefined,
      onHits: async () => undefined,
      onConfirm: async () => ({ ok: false, reason: "nobody is asked" }),
    },
  );
  const user = jwtAuthenticator(
    authority.control.streamsJwt,
    new TextEncoder().encode(authority.control.seed),
  );
  control = await connect({ servers: [nats.url], authenticator: user });
  open.push(control);
  for (let seq = 1; seq <= EVENTS; seq += 1)
    await link.putEvent(seq, seq % 3 === 0 ? "FleetThawed" : "FleetFrozen", JSON.stringify({ seq }));
});
afterAll(async () => {
  for (const connection of open) await connection.close();
  await link?.close();
  await nats?.stop();
});

async function login(consumer: string): Promise<NatsConnection> {
  const credentials = await readerCredentials(authority, consumer);
  const connection = await connect({
    servers: [nats.url],
    authenticator: credsAuthenticator(new TextEncoder().encode(credentials)),
    inboxPrefix: inboxPrefix(consumer),
  });
  open.push(connection);
  return connection;
}

/** The next events that this login is given; acknowledged, so that the next fetch goes on. */
async function fetchSome(connection: NatsConnection, consumer: string, most: number): Promise<number[]> {
  const reader = await jetstream(connection).consumers.get("EVENTS", consumer);
  const seqs = [];
  for await (const message of await reader.fetch({ max_messages: most, expires: 1_000 })) {
    seqs.push(message.seq);
    await message.ackAck();
  }
  return seqs;
}

test("a reader that died goes on after what it acknowledged", async () => {
  expect(await link.putReader({ consumer: "billing-1", from: 2 })).toBe(true);
  const first = await login("billing-1");
  expect(await fetchSome(first, "billing-1", 3)).toEqual([2, 3, 4]);
  await first.close();
  expect(await link.putReader({ consumer: "billing-1", from: 2 })).toBe(true);
  expect(await link.readerPlace("billing-1")).toEqual({ acked: 4, waiting: EVENTS - 4 });
  expect(await fetchSome(await login("billing-1"), "billing-1", 2)).toEqual([5, 6]);
});

test("a reader of one type gets those events, and no others", async () => {
  await link.putReader({ consumer: "thaws-1", from: 1, only: "FleetThawed" });
  expect(await fetchSome(await login("thaws-1"), "thaws-1", 3)).toEqual([3, 6, 9]);
});

test("a place that the feed hasn't reached yet isn't made elsewhere", async () => {
  expect(await link.putReader({ consumer: "early-1", from: EVENTS + 2 })).toBe(false);
  expect(await link.readerPlace("early-1")).toBeUndefined();
  expect(await link.putReader({ consumer: "new-1", from: EVENTS + 1 })).toBe(true);
});

test("a login whose reader was removed opens nothing, and the other's goes on", async () => {
  await link.putReader({ consumer: "gone-1", from: 1 });
  const gone = await login("gone-1");
  expect(await fetchSome(gone, "gone-1", 1)).toEqual([1]);
  expect(await link.dropReader("gone-1")).toBe(true);
  expect(await link.dropReader("gone-1")).toBe(true);
  await link.putReader({ consumer: "gone-2", from: 1 });
  await expect(fetchSome(gone, "gone-1", 1)).rejects.toThrow(/not found/);
  await expect(gone.request("$JS.API.CONSUMER.INFO.EVENTS.gone-2")).rejects.toThrow(/ermission/);
  expect(await fetchSome(await login("gone-2"), "gone-2", 1)).toEqual([1]);
});

describe("a login of a reader that does its worst", () => {
  const victim = "victim-1";
  let eve: NatsConnection;

  beforeAll(async () => {
    for (const consumer of ["eve-1", victim]) await link.putReader({ consumer, from: 1 });
    eve = await login("eve-1");
  });

  const consumer = (verb: string, rest: string) => `$JS.API.CONSUMER.${verb}.${rest}`;
  test.each([
    consumer("MSG.NEXT", `EVENTS.${victim}`),
    consumer("INFO", `EVENTS.${victim}`),
    consumer("MSG.NEXT", "REPORTS.control"),
    consumer("CREATE", "EVENTS.eve-2"),
    consumer("CREATE", "EVENTS.eve-1"),
    consumer("CREATE", "EVENTS"),
    consumer("DURABLE.CREATE", "EVENTS.eve-2"),
    consumer("DELETE", `EVENTS.${victim}`),
    consumer("DELETE", "EVENTS.eve-1"),
    consumer("NAMES", "EVENTS"),
    consumer("LIST", "EVENTS"),
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.INFO.EVENTS",
    "$JS.API.STREAM.MSG.GET.EVENTS",
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.STREAM.DELETE.EVENTS",
    "$JS.API.DIRECT.GET.KV_desired.$KV.desired.web-1",
    "$JS.API.DIRECT.GET.KV_lists.$KV.lists.bans",
    `$JS.ACK.EVENTS.${victim}.1.1.1.1700000000000000000.0`,
    subjects.event("FleetFrozen"),
    subjects.report("web-1"),
    subjects.pulse("web-1"),
    subjects.confirm("web-1"),
    subjects.hits("web-1"),
    subjects.wake("web-1"),
    subjects.ask("web-1"),
    subjects.list("bans"),
    subjects.control,
    subjects.checkpoint,
    "$KV.desired.web-1",
  ])("may not publish on %s", async (subject) => {
    await expect(eve.request(subject, "", { timeout: 5_000 })).rejects.toThrow(/ermission/);
  });

  test.each([
    ">",
    "sluice.v1.>",
    "sluice.v1.event.>",
    "sluice.v1.list.*",
    "sluice.v1.report.*",
    subjects.wake("web-1"),
    subjects.control,
    `${inboxPrefix(victim)}.>`,
    "_INBOX.>",
    "$KV.>",
    "$JS.>",
    "$SYS.>",
  ])("may not listen to %s", async (subject) => {
    const refused = new Promise<string | undefined>((resolve) =>
      eve.subscribe(subject, { callback: (error) => resolve(error?.message) }),
    );
    expect(await refused).toMatch(/ermission/);
  });

  test("can't have what it is answered delivered to anybody else, into the stream, or as a command", async () => {
    const heard: string[] = [];
    for (const subject of ["sluice.v1.>", `${inboxPrefix(victim)}.>`])
      control.subscribe(subject, { callback: (_, message) => void heard.push(message.subject) });
    const patient = await login(victim);
    patient.subscribe(`${inboxPrefix(victim)}.x`, {
      callback: (_, message) => void heard.push(message.subject),
    });
    await Promise.all([control.flush(), patient.flush()]);
    const manager = await jetstreamManager(control);
    const before = await manager.consumers.info("EVENTS", victim);
    for (const reply of [
      subjects.event("Forged"),
      subjects.wake("web-1"),
      subjects.report("web-1"),
      subjects.checkpoint,
      consumer("MSG.NEXT", `EVENTS.${victim}`),
      consumer("DELETE", `EVENTS.${victim}`),
      "$JS.API.STREAM.PURGE.EVENTS",
      "$JS.API.STREAM.DELETE.EVENTS",
      `${inboxPrefix(victim)}.y`,
    ]) {
      eve.publish(consumer("INFO", "EVENTS.eve-1"), "", { reply });
      eve.publish(consumer("MSG.NEXT", "EVENTS.eve-1"), "1", { reply });
      // nothing left to give: the broker says so, without a body
      eve.publish(consumer("MSG.NEXT", "EVENTS.eve-1"), '{"batch":99,"no_wait":true}', { reply });
    }
    await eve.flush();
    // answered after all of the above
    await eve.request(consumer("INFO", "EVENTS.eve-1"));
    await Promise.all([control.flush(), patient.flush()]);
    expect(heard).toEqual([]);
    expect((await manager.streams.info("EVENTS")).state).toMatchObject({
      messages: EVENTS,
      last_seq: EVENTS,
    });
    const { delivered, ack_floor, num_ack_pending, num_waiting } = await manager.consumers.info(
      "EVENTS",
      victim,
    );
    expect({ delivered, ack_floor, num_ack_pending, num_waiting }).toEqual({
      delivered: before.delivered,
      ack_floor: before.ack_floor,
      num_ack_pending: 0,
      num_waiting: 0,
    });
  });

  test("can't acknowledge for another by what it asks for itself", async () => {
    const reply = `$JS.ACK.EVENTS.${victim}.1.1.1.1700000000000000000.0`;
    const refused = (async () => {
      for await (const status of eve.status()) if (status.type === "error") return String(status.error);
      return undefined;
    })();
    eve.publish(consumer("MSG.NEXT", "EVENTS.eve-1"), "1", { reply });
    expect(await refused).toMatch(/ermission/);
  });
});
