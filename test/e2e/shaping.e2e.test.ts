import { classBytes } from "@sluice/infra/demo/kernel";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { commandIn } from "@sluice/infra/net/namespace";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BackendServer, FAMILIES, onEach, startBothBackends } from "./both-backends.ts";
import { applyPolicy, rollOut } from "./lab.ts";

const WEB = "web: { rate: 200kbit, ceil: 200kbit, priority: 1, mtu: 1500, match: -p tcp --sport 80 }";
const CLASSES = `
policy: uplink
targets: { servers: ["*"] }
vars: { uplink: eth0 }
shaping:
  $uplink:
    classes:
      ${WEB}
      rest: { rate: 1024kbit, ceil: 1024kbit, priority: 2, mtu: 1500, default: true }
reach: [tcp/22]
`;
const TBF = `
policy: uplink
targets: { servers: ["*"] }
shaping:
  eth0: { tbf: { rate: 1mbit, burst: 10k, latency: 50ms } }
reach: [tcp/22]
`;
const INGRESS = `
policy: uplink
targets: { servers: ["*"] }
shaping:
  eth0: { ingress: { rate: 1mbit } }
reach: [tcp/22]
`;

const PATIENCE_MS = 40_000;
const WARM_UP_BYTES = 50_000;

let lab: Lab;
let servers: BackendServer[];
let untouched: string[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  untouched = await Promise.all(servers.map((server) => server.kernel()));
});
afterAll(() => lab?.stop());

async function holds(text: string): Promise<void> {
  await applyPolicy(lab, text, "a small uplink");
  expect(await rollOut(lab, "uplink")).toMatchObject({ state: "completed" });
}

/** Bits per second over the time in which `bytes` more are counted, after as many as fill every queue. */
async function rateOf(bytes: number, read: () => Promise<number>): Promise<number> {
  const start = await read();
  await waitUntil("the warm-up", PATIENCE_MS, async () => (await read()) >= start + WARM_UP_BYTES);
  const [from, fromMs] = [await read(), performance.now()];
  let [to, toMs] = [from, fromMs];
  await waitUntil(`${bytes} bytes`, PATIENCE_MS, async () => {
    [to, toMs] = [await read(), performance.now()];
    return to >= from + bytes;
  });
  return ((to - from) * 8000) / (toMs - fromMs);
}

function expectWithin(share: number, rate: number, wanted: number): void {
  expect(rate).toBeGreaterThan(wanted * (1 - share));
  expect(rate).toBeLessThan(wanted * (1 + share));
}

/**
 * What a server serves on a port, fetched over both families at once, again and again until `work` has ended, however
 * long that takes. Never both anew at one moment: the line stays full.
 */
async function whileDownloading<T>(
  { address }: BackendServer,
  port: number,
  work: () => Promise<T>,
): Promise<T> {
  let isDone = false;
  const fetchOn = async (url: string, seconds: number): Promise<number> => {
    let sum = 0;
    while (!isDone) sum += (await lab.outside.download({ url, seconds })).bytes;
    return sum;
  };
  const downloads = [
    fetchOn(`http://${address(4)}:${port}/`, 3),
    fetchOn(`http://[${address(6)}]:${port}/`, 4),
  ];
  const done = await work().finally(() => {
    isDone = true;
  });
  for (const bytes of await Promise.all(downloads)) expect(bytes).toBeGreaterThan(0);
  return done;
}

/** Bytes that the root qdisc of a device has sent. */
async function rootBytes(server: BackendServer, device: string): Promise<number> {
  const text = await server.run("tc", "-s", "qdisc", "show", "dev", device, "root");
  return Number(/Sent (\d+) bytes/.exec(text)?.[1]);
}

test("a class holds its rate within 5 % over 10 s, both families together, and its rules count what they sort", async () => {
  await holds(CLASSES);
  await onEach(servers, async (server) => {
    const read = () => classBytes(server.namespace, "eth0", "1:10");
    expectWithin(0.05, await whileDownloading(server, 80, () => rateOf(250_000, read)), 200_000);
    // the two share one queue, and on a busy machine not evenly
    for (const family of FAMILIES)
      expect(await server.packets(family, "mangle", "--sport 80")).toBeGreaterThan(0);
  });
});

test("another rate for a class, while it is busy, is that alone: no class loses its counters, nothing else is written", async () => {
  const monitors = servers.map((server) => startMonitor(server));
  const before = await Promise.all(servers.map(bytesOfClasses));
  await applyPolicy(lab, CLASSES.replace(WEB, WEB.replaceAll("200kbit", "400kbit")), "more for the web");
  await onEach(servers, async (server) => {
    const read = () => classBytes(server.namespace, "eth0", "1:10");
    await whileDownloading(server, 80, async () => {
      if (server === servers[0]) expect(await rollOut(lab, "uplink")).toMatchObject({ state: "completed" });
      await waitUntil("the new rate", PATIENCE_MS, async () =>
        (await classes(server)).includes("rate 400Kbit"),
      );
      expectWithin(0.1, await rateOf(100_000, read), 400_000);
    });
  });
  const after = await Promise.all(servers.map(bytesOfClasses));
  for (const [index, { web, rest }] of after.entries()) {
    expect(web).toBeGreaterThan((before[index]?.web ?? 0) + 100_000);
    expect(rest).toBeGreaterThanOrEqual(before[index]?.rest ?? 0);
    expect(before[index]?.rest).toBeGreaterThan(0);
  }
  for (const monitor of monitors) {
    await monitor.stop();
    expect(monitor.lines().map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual(["class htb 1:10"]);
  }
});

test("a token bucket takes the place of the classes and holds all that leaves", async () => {
  await holds(TBF);
  await onEach(servers, async (server) => {
    expect(await server.run("tc", "qdisc", "show", "dev", "eth0")).toMatch(/^qdisc tbf 1: root /m);
    const rate = await whileDownloading(server, 9000, () => rateOf(500_000, () => rootBytes(server, "eth0")));
    expectWithin(0.05, rate, 1_000_000);
  });
});

test("what comes in is held by an IFB, what leaves is not", async () => {
  await using page = await lab.outside.listen(8088, { kind: "http", bytes: 4_000_000 });
  await holds(INGRESS);
  const client = lab.fabric.host("client");
  await onEach(servers, async (server) => {
    const urls = [`http://${client.ipv4}:${page.port}/`, `http://[${client.ipv6}]:${page.port}/`];
    const station = lab.stations.get(server.name);
    const downloads = urls.map((url) => station?.download({ url, seconds: 6 }));
    expectWithin(0.05, await rateOf(500_000, () => rootBytes(server, "slifb-eth0")), 1_000_000);
    for (const download of await Promise.all(downloads)) expect(download?.bytes).toBeGreaterThan(0);
    const out = await lab.outside.download({ url: `http://${server.address(4)}:9000/`, seconds: 20 });
    expect(out).toMatchObject({ outcome: "complete" });
  });
});

test("with the policy gone, the kernel's own qdisc is back and no device of ours is left", async () => {
  expect(await rollOut(lab, "uplink", { remove: true })).toMatchObject({ state: "completed" });
  expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(untouched);
});

function classes(server: BackendServer): Promise<string> {
  return server.run("tc", "class", "show", "dev", "eth0");
}

async function bytesOfClasses({ namespace }: BackendServer) {
  const [web, rest] = await Promise.all(["1:10", "1:20"].map((id) => classBytes(namespace, "eth0", id)));
  return { web: web ?? 0, rest: rest ?? 0 };
}

/** What the kernel tells of changes of qdiscs, classes and filters. */
function startMonitor({ namespace }: BackendServer): { lines(): string[]; stop(): Promise<void> } {
  const child = startGuarded(commandIn(namespace, ["tc", "monitor"]));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return { lines: () => text.split("\n").filter((line) => line.trim() !== ""), stop: () => child.stop() };
}
