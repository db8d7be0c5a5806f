import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import type { Agent } from "@sluice/agents/run/agent";
import { configure, createNamespace, deleteNamespace } from "@sluice/infra/net/namespace";
import { cleanUpOnDeath } from "@sluice/infra/process/janitor";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { listSet, protectSet } from "@sluice/proto/base/names";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { blocking } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

const CLIENT = `slt-client-${process.pid}`;
const PATIENCE_MS = 60_000;
const PORT = 8080;
/** each client has addresses of its own; the gateway is protected */
const CLIENTS = { banned: 7, bulk: 8, other: 9, gateway: 1 } as const;
type Client = keyof typeof CLIENTS;

const SENDER = `
const server = require("node:net").createServer((socket) => {
  const from = socket.remoteAddress;
  const sending = setInterval(() => socket.write("x".repeat(1000)), 20);
  socket.on("error", (error) => console.log("ended " + from + " " + error.code));
  socket.on("close", () => clearInterval(sending));
});
server.listen({ port: ${PORT}, host: "::", ipv6Only: false }, () => console.log("listening"));`;
const READER = `
const [localAddress, host] = process.argv.slice(1);
let bytes = 0;
require("node:net").connect({ port: ${PORT}, host, localAddress })
  .on("data", (data) => console.log("bytes " + (bytes += data.length))).on("error", () => {});`;

let server: TestServer;
let control: FakeControl;
let agent: Agent;
let janitor: { release(): void };
const stops: (() => Promise<void>)[] = [];
const ended: string[] = [];

beforeAll(async () => {
  server = await createTestServer();
  janitor = cleanUpOnDeath({ namespaces: [CLIENT] });
  await createNamespace(CLIENT);
  await configure(server.namespace, [`link set peer0 netns ${CLIENT}`, "route add default via 192.0.2.1"]);
  await configure(CLIENT, [
    "link set lo up",
    ...Object.values(CLIENTS).flatMap((n) => [
      `addr add 192.0.2.${n}/24 dev peer0`,
      `addr add 2001:db8::${n}/64 dev peer0 nodad`,
    ]),
    "link set peer0 up",
  ]);
  const sender = start(server.namespace, [SENDER], (line) => {
    if (line.startsWith("ended ")) ended.push(line.slice(6));
  });
  await waitUntil("the sender", PATIENCE_MS, () => sender.lines.includes("listening"));
  control = createFakeControl();
  control.list("bans", ["203.0.113.200"]);
  agent = await startTestAgent(server, control, { intervals: { pollMs: 500 } });
  control.issue(dropping(), 1);
  await waitUntil("the outcome", PATIENCE_MS, () => control.outcomes().length === 1);
  expect(control.outcomes()[0]).toMatchObject({ result: "confirmed" });
}, 240_000);

afterAll(async () => {
  await agent?.close();
  await Promise.all(stops.map((stop) => stop()));
  await deleteNamespace(CLIENT);
  janitor?.release();
  await server?.remove();
});

function start(namespace: string, args: string[], onLine: (line: string) => void = () => undefined) {
  const child = namedNamespace(namespace).spawn(process.execPath, ["-e", ...args]);
  const lines: string[] = [];
  child.onLine((_, line) => {
    lines.push(line);
    onLine(line);
  });
  const stop = async () => {
    child.kill();
    await child.exited;
  };
  stops.push(stop);
  return { lines, stop };
}

/** What the list holds is dropped before connection tracking, both ways, after lo and what is protected. */
function dropping(): Manifest {
  const manifest = blocking();
  const chains = ([4, 6] as const).flatMap((family) =>
    (
      [
        ["PREROUTING", "src", "-i"],
        ["OUTPUT", "dst", "-o"],
      ] as const
    ).map(([hook, side, way]) => ({
      family,
      table: "raw" as const,
      name: `SL-${hook}`,
      rules: [
        { args: `${way} lo -j ACCEPT` },
        { args: `-m set --match-set ${protectSet(family)} ${side} -j ACCEPT` },
        { args: `-m set --match-set ${listSet("bans", family)} ${side} -j DROP` },
      ],
    })),
  );
  const track = ([4, 6] as const).map((family) => ({
    family,
    table: "filter" as const,
    name: "SL-INPUT",
    rules: [{ args: "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT" }],
  }));
  const others = manifest.chains.filter(({ name }) => name !== "SL-INPUT");
  const hooks = chains.map(({ family, name }) => ({
    family,
    table: "raw" as const,
    hook: name === "SL-OUTPUT" ? ("OUTPUT" as const) : ("PREROUTING" as const),
    chain: name,
    at: "head" as const,
  }));
  return { ...manifest, chains: [...others, ...track, ...chains], hooks: [...manifest.hooks, ...hooks] };
}

async function stream(client: Client, family: 4 | 6) {
  const from = family === 4 ? `192.0.2.${CLIENTS[client]}` : `2001:db8::${CLIENTS[client]}`;
  const reader = start(CLIENT, [READER, from, family === 4 ? "192.0.2.10" : "2001:db8::10"]);
  const bytes = () => Number(reader.lines.at(-1)?.replace("bytes ", "") ?? 0);
  const flows = async (moreThan = bytes()) =>
    await waitUntil(`a stream to ${from}`, PATIENCE_MS, () => bytes() > moreThan + 3_000);
  await flows(0);
  return { from, bytes, flows, stop: reader.stop };
}

async function isGone(from: string): Promise<void> {
  await waitUntil(`the end of the socket to ${from}`, PATIENCE_MS, () =>
    ended.some((line) => line.replace("::ffff:", "").startsWith(`${from} `)),
  );
  await waitUntil(`the end of what is tracked of ${from}`, PATIENCE_MS, async () => {
    const tracked = await server.sh("cat /proc/net/nf_conntrack");
    const words = new Set(tracked.split(/\s/));
    return !words.has(`src=${expanded(from)}`) && !words.has(`dst=${expanded(from)}`);
  });
}

/** as connection tracking prints it */
function expanded(address: string): string {
  const last = address.split(":").at(-1) ?? "";
  return address.includes(":") ? `2001:0db8:0000:0000:0000:0000:0000:${last.padStart(4, "0")}` : address;
}

test.each([4, 6] as const)(
  "a ban over IPv%d cuts a connection in which the server keeps sending; others go on",
  async (family) => {
    const [banned, other] = [await stream("banned", family), await stream("other", family)];
    control.list("bans", [banned.from]);
    await isGone(banned.from);
    const bytes = banned.bytes();
    await other.flows();
    expect(banned.bytes()).toBe(bytes);
    await other.stop();
  },
);

test("of ten thousand added at once, the one that is connected is cut", async () => {
  const bulk = await stream("bulk", 4);
  const many = Array.from({ length: 10_000 }, (_, n) => `198.18.${n >> 8}.${n & 255}`);
  control.list("bans", [...many, bulk.from]);
  await isGone(bulk.from);
});

test("what is protected keeps its connection, though the list names it", async () => {
  const gateway = await stream("gateway", 4);
  control.list("bans", [gateway.from, "203.0.113.9"]);
  await waitUntil("the delta", PATIENCE_MS, () => control.reports.some(({ kind }) => kind === "skipped"));
  await gateway.flows();
  await gateway.flows();
  expect(ended.some((line) => line.startsWith(`${gateway.from} `))).toBe(false);
});
