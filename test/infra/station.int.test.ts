import { createFabric, type Fabric } from "@sluice/infra/net/fabric";
import type { HostPlan } from "@sluice/infra/net/fabric-plan";
import { execIn } from "@sluice/infra/net/namespace";
import { type Station, startStation } from "@sluice/infra/packets/station";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

let fabric: Fabric;
let host: HostPlan;
let client: Station;
let server: Station;

beforeAll(async () => {
  fabric = await createFabric({ servers: 1, others: ["client"] });
  host = fabric.host("server-1");
  client = await startStation(fabric.host("client").namespace);
  server = await startStation(host.namespace);
});

afterAll(async () => {
  await client?.stop();
  await server?.stop();
  await fabric?.dispose();
});

beforeEach(async () => {
  await execIn(host.namespace, "iptables", ["-F"]);
  await execIn(host.namespace, "ip6tables", ["-F"]);
});

describe.each([
  { family: "IPv4", tool: "iptables", address: () => host.ipv4 },
  { family: "IPv6", tool: "ip6tables", address: () => host.ipv6 },
])("over $family", ({ tool, address }) => {
  const rule = (...words: string[]) => execIn(host.namespace, tool, ["-A", "INPUT", ...words]);

  test("an open port accepts, a closed one refuses, a dropped one times out", async () => {
    await using open = await server.listen(0, { kind: "accept" });
    await using dropped = await server.listen(0, { kind: "accept" });
    await rule("-p", "tcp", "--dport", String(dropped.port), "-j", "DROP");
    const to = address();
    expect(await client.connect({ to, port: open.port })).toMatchObject({ outcome: "accepted" });
    expect(await client.connect({ to, port: 9 })).toMatchObject({ outcome: "refused", code: "ECONNREFUSED" });
    const filtered = await client.connect({ to, port: dropped.port, timeoutMs: 150 });
    expect(filtered.outcome).toBe("timeout");
    expect(filtered.ms).toBeGreaterThanOrEqual(149);
    expect((await dropped.heard()).from).toEqual([]);
  });

  test("a port that is rejected by ICMP says so each time", async () => {
    await rule("-p", "tcp", "--dport", "81", "-j", "REJECT");
    // Over a veth pair IPv6 hears the first refusal while connect() still holds the socket, and drops it: it takes
    // the repeated SYN, a second later.
    const target = { to: address(), port: 81, timeoutMs: 3500 };
    const tries = Array.from({ length: 20 }, () => client.connect(target));
    const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
    expect(new Set(outcomes)).toEqual(new Set(["refused"]));
  });

  test("an open connection shows whether it is still answered after a rule is added", async () => {
    await using echo = await server.listen(0, { kind: "echo" });
    const connection = await client.open({ to: address(), port: echo.port });
    expect((await connection.echo("still there?")).outcome).toBe("answered");
    await rule("-p", "tcp", "--dport", String(echo.port), "-j", "DROP");
    expect((await connection.echo("and now?", 150)).outcome).toBe("timeout");
    await connection.close();
  });

  test("a datagram is answered, refused where nothing listens, and lost where it is dropped", async () => {
    await using echo = await server.listen(0, { kind: "udp-echo" });
    const to = address();
    expect((await client.ask({ to, port: echo.port })).outcome).toBe("answered");
    expect((await client.ask({ to, port: 9 })).outcome).toBe("refused");
    await rule("-p", "udp", "--dport", String(echo.port), "-j", "DROP");
    expect((await client.ask({ to, port: echo.port, timeoutMs: 150 })).outcome).toBe("timeout");
  });

  test("a download counts every byte of the page, and tells how long each step took", async () => {
    await using web = await server.listen(0, { kind: "http", bytes: 100_000 });
    const at = address().includes(":") ? `[${address()}]` : address();
    const got = await client.download({ url: `http://${at}:${web.port}/`, seconds: 5 });
    expect(got).toMatchObject({ outcome: "complete", bytes: 100_000 });
    expect(got.connectMs).toBeGreaterThan(0);
    expect(got.firstByteMs).toBeGreaterThanOrEqual(got.connectMs);
    expect(got.totalMs).toBeGreaterThanOrEqual(got.firstByteMs);
  });
});

test("a download of more than comes in time is measured for that time", async () => {
  const { namespace, device } = host;
  await execIn(
    namespace,
    "tc",
    "qdisc add dev DEV root tbf rate 800kbit burst 3kb limit 30kb".replace("DEV", device).split(" "),
  );
  try {
    await using web = await server.listen(0, { kind: "http", bytes: 10_000_000 });
    const url = `http://${host.ipv4}:${web.port}/`;
    const got = await client.download({ url, seconds: 1.5, warmUpMs: 500 });
    expect(got.outcome).toBe("time up");
    // 1,448 bytes of payload in a frame of 1,514; a second is short, so the bounds are wide.
    expect(got.bitPerSec).toBeGreaterThan(0.85 * 800_000);
    expect(got.bitPerSec).toBeLessThan(800_000);
  } finally {
    await execIn(namespace, "tc", ["qdisc", "del", "dev", device, "root"]);
  }
});

test("a request that can't be done fails with the system's reason and leaves the station working", async () => {
  await using taken = await server.listen(0, { kind: "accept" });
  await expect(server.listen(taken.port, { kind: "accept" })).rejects.toThrow("EADDRINUSE");
  expect((await server.ping("127.0.0.1")).received).toBe(1);
});
