import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createFabric, type Fabric } from "@sluice/infra/net/fabric";
import {
  configure,
  createNamespace,
  deleteNamespace,
  execIn,
  listNamespaces,
} from "@sluice/infra/net/namespace";
import { startStation } from "@sluice/infra/packets/station";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** An answer comes at once; on a busy machine it may be heard late. */
const PATIENCE_MS = 10_000;

async function namespacesOf(prefix: string): Promise<string[]> {
  const all = await listNamespaces();
  return all.filter((name) => name.startsWith(prefix));
}

describe("a fabric that stands", () => {
  let fabric: Fabric;
  beforeAll(async () => {
    fabric = await createFabric({ servers: 4, others: ["control", "client", "attacker"] });
  });
  afterAll(() => fabric.dispose());

  test("carries ping and TCP from the client to each server over both families", async () => {
    await using client = await startStation(fabric.host("client").namespace);
    for (const server of fabric.servers) {
      await using station = await startStation(server.namespace);
      await using listener = await station.listen(0, { kind: "accept" });
      for (const to of [server.ipv4, server.ipv6]) {
        expect(await client.ping(to, { timeoutMs: PATIENCE_MS })).toEqual({ sent: 1, received: 1 });
        const target = { to, port: listener.port, timeoutMs: PATIENCE_MS };
        expect(await client.connect(target)).toMatchObject({ outcome: "accepted" });
      }
    }
  });

  test("answers any address that a host adds, with no route for it", async () => {
    const attacker = fabric.host("attacker");
    await fabric.addAddress(attacker, "203.0.113.9/32");
    await fabric.addAddress(attacker, "2001:db8::9/128");
    const [server] = fabric.servers;
    await using there = await startStation(server?.namespace ?? "");
    await using here = await startStation(attacker.namespace);
    await using listener = await there.listen(0, { kind: "accept" });
    const target = { port: listener.port, timeoutMs: PATIENCE_MS };
    await here.connect({ ...target, to: server?.ipv4 ?? "", from: "203.0.113.9" });
    await here.connect({ ...target, to: server?.ipv6 ?? "", from: "2001:db8::9" });
    expect((await listener.heard()).from).toEqual(["203.0.113.9", "2001:db8::9"]);
  });

  test("loses a host whose cable is pulled out and has it back when it is put in", async () => {
    const server = fabric.host("server-2");
    await using client = await startStation(fabric.host("client").namespace);
    await fabric.cut(server);
    expect((await client.ping(server.ipv4, { timeoutMs: 200 })).received).toBe(0);
    await fabric.mend(server);
    for (const to of [server.ipv4, server.ipv6])
      await waitUntil(
        `an echo of ${to}`,
        30_000,
        async () => (await client.ping(to, { timeoutMs: 200 })).received === 1,
      );
  });

  test("puts no device, address or route into the default namespace", async () => {
    const devices = await readFile("/proc/self/net/dev", "utf8");
    for (const { port } of fabric.hosts) expect(devices).not.toContain(`${port}:`);
    expect(await readFile("/proc/self/net/route", "utf8")).not.toContain("004D0A"); // 10.77.0 as it is written there
    expect(await readFile("/proc/self/net/if_inet6", "utf8")).not.toContain("fd77");
    expect(await readFile("/proc/self/net/ipv6_route", "utf8")).not.toContain("fd77");
  });
});

describe("a fabric that ends", () => {
  test("leaves no namespace, though processes still ran in it", async () => {
    const fabric = await createFabric({ servers: 2 });
    const station = await startStation(fabric.host("server-1").namespace);
    await fabric.dispose();
    expect(await namespacesOf(fabric.prefix)).toEqual([]);
    await expect(station.ping("10.77.0.12")).rejects.toThrow("is gone");
  });

  test("leaves no namespace when its process is killed", async () => {
    const prefix = `slk${process.pid}-`;
    const script = `
      import { createFabric } from "@sluice/infra/net/fabric";
      await createFabric({ prefix: ${JSON.stringify(prefix)}, servers: 1 });
      process.kill(process.pid, "SIGKILL");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "inherit", "inherit"], // where no fabric came to be, it says why
    });
    const [, signal] = await once(child, "exit");
    expect(signal).toBe("SIGKILL");
    await waitUntil("no namespace left", 30_000, async () => (await namespacesOf(prefix)).length === 0);
  });
});

describe("a fabric whose names are taken", () => {
  test("refuses where the namespace is not Sluice's, and leaves it alone", async () => {
    const prefix = `slf${process.pid}-`;
    await createNamespace(`${prefix}server-1`);
    try {
      await expect(createFabric({ prefix, servers: 1 })).rejects.toThrow("not Sluice's");
      expect(await namespacesOf(prefix)).toEqual([`${prefix}server-1`]);
    } finally {
      await deleteNamespace(`${prefix}server-1`);
    }
  });

  test("refuses while the fabric that has them is in use", async () => {
    const prefix = `slu${process.pid}-`;
    await using fabric = await createFabric({ prefix, servers: 1 });
    await expect(createFabric({ prefix, servers: 1 })).rejects.toThrow("running");
    expect(await execIn(fabric.host("server-1").namespace, "cat", ["/proc/net/if_inet6"])).toContain("eth0");
  });

  test("takes the place of one whose process is gone", async () => {
    const prefix = `sla${process.pid}-`;
    await createNamespace(`${prefix}server-1`);
    // Pid 1 never started at tick 1: a mark whose process is no more.
    await configure(`${prefix}server-1`, ['link set lo alias "sluice-fabric pid=1 start=1"']);
    await using fabric = await createFabric({ prefix, servers: 1, others: [] });
    expect((await namespacesOf(prefix)).sort()).toEqual([`${prefix}server-1`, `${prefix}switch`]);
    expect(fabric.servers).toHaveLength(1);
  });
});
