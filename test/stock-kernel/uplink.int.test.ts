import { readFile } from "node:fs/promises";
import type { RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { GuestProcess } from "@sluice/infra/stock-kernel/guest-processes";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openGuestNamespace } from "./guest-namespace.ts";
import { type GuestServer, must, openGuestServer } from "./guest-server.ts";
import { onStockKernel } from "./on-stock-kernel.ts";

/**
 * The lab's uplink on a kernel that has `fw`, as tc's documentation does it: a rule marks, the filter leads the mark to
 * its class. Measured with packets between two namespaces of the guest, by its clock, which is held against this machine's.
 *
 * A guest that waits for a processor sends its next packet late, and a class saves up no more than its burst (64 ms for
 * the web, 13 ms for the rest): on a busy machine it falls short of its rate.
 */
const POLICY = new URL("../../infra/lab/policies/uplink.yaml", import.meta.url);
const SERVER = { 4: "192.0.2.10", 6: "2001:db8::10" } as const;
const PATIENCE_MS = 240_000;
const WARM_UP_BYTES = 50_000;

onStockKernel("the uplink on a kernel with fw", (kernel) => {
  let server: GuestServer;
  let client: RehearsalNamespace;
  const running: GuestProcess[] = [];

  beforeAll(async () => {
    client = await openGuestNamespace(kernel());
    const devices = [
      `link add eth0 type veth peer name eth0 netns ${client.pid}`,
      "address add 192.0.2.10/24 dev eth0",
      "address add 2001:db8::10/64 dev eth0 nodad",
      "link set eth0 up gso_max_segs 1", // with offload a packet is 64 KiB, and a class lets through more than its rate
    ];
    server = await openGuestServer({ kernel: kernel(), devices });
    const far = ["address add 192.0.2.20/24 dev eth0", "address add 2001:db8::20/64 dev eth0 nodad"];
    await must(client, "ip", ["-batch", "-"], [...far, "link set eth0 up", ""].join("\n"));
    const { left } = await server.hold(await readFile(POLICY, "utf8"));
    expect(left).toEqual([]);
  }, PATIENCE_MS);
  afterAll(async () => {
    await server?.close();
    await client?.close();
  });
  afterEach(async () => {
    for (const child of running) child.kill();
    await Promise.all(running.splice(0).map((child) => child.exited));
  });

  /** Bytes without end from a port of the server to the client, until the test is over. */
  async function download(family: 4 | 6, port: number): Promise<void> {
    const inside = ({ pid }: RehearsalNamespace, command: string) =>
      running.push(kernel().start("nsenter", [`--net=/proc/${pid}/ns/net`, "sh", "-c", command]));
    inside(server.live, `exec nc -l ${SERVER[family]} ${port} </dev/zero`);
    await waitUntil("a server that listens", PATIENCE_MS, async () =>
      (await must(server.live, "ss", ["-Hltn"])).includes(`:${port} `),
    );
    inside(client, `exec nc -d ${SERVER[family]} ${port} >/dev/null`);
  }

  interface Look {
    web: number;
    rest: number;
    guestMs: number;
    /** this machine's clock, before and after */
    hostMs: readonly [number, number];
  }

  /** What both classes have sent, and when, in one command. */
  async function look(): Promise<Look> {
    const before = performance.now();
    const text = await must(server.live, "sh", ["-c", "tc -s class show dev eth0; cat /proc/uptime"]);
    const sent = (classid: string) =>
      Number(new RegExp(`class htb ${classid} [^]*?Sent (\\d+) bytes`).exec(text)?.[1]);
    const uptime = Number(/^(\d+\.\d+) \d+\.\d+$/m.exec(text)?.[1]);
    return {
      web: sent("1:10"),
      rest: sent("1:20"),
      guestMs: uptime * 1000,
      hostMs: [before, performance.now()],
    };
  }

  /** What the classes send in the time in which one of them sends `bytes`, after its queue is full. */
  async function measure(which: "web" | "rest", bytes: number) {
    const start = await look();
    let from = start;
    await waitUntil("the warm-up", PATIENCE_MS, async () => {
      from = await look();
      return from[which] >= start[which] + WARM_UP_BYTES;
    });
    let to = from;
    await waitUntil(`${bytes} bytes`, PATIENCE_MS, async () => {
      to = await look();
      return to[which] >= from[which] + bytes;
    });
    const guestMs = to.guestMs - from.guestMs;
    // between the latest start and the earliest end, and between the earliest start and the latest end; in 10 ms ticks
    expect(guestMs).toBeGreaterThan(to.hostMs[0] - from.hostMs[1] - 20);
    expect(guestMs).toBeLessThan(to.hostMs[1] - from.hostMs[0] + 20);
    const sent = { web: to.web - from.web, rest: to.rest - from.rest };
    const rate = (sent[which] * 8000) / guestMs;
    console.log(`${which}: ${(rate / 1000).toFixed(1)} kbit/s over ${(guestMs / 1000).toFixed(1)} s`);
    return { sent, rate };
  }

  /** Once it gets what is its own it has it; more it must never have, however often it is looked at. */
  async function measureBetween(which: "web" | "rest", bytes: number, least: number, most: number) {
    let measured = await measure(which, bytes);
    await waitUntil(`${which} at its rate`, PATIENCE_MS, async () => {
      expect(measured.rate).toBeLessThan(most);
      if (measured.rate > least) return true;
      measured = await measure(which, bytes);
      return false;
    });
    return measured;
  }

  async function marked(family: 4 | 6): Promise<number> {
    const tool = family === 4 ? "iptables-legacy-save" : "ip6tables-legacy-save";
    const saved = await must(server.live, tool, ["-c", "-t", "mangle"]);
    return Number(/^\[(\d+):\d+\] -A SL-\S+ .*--sport 80 .*--set-xmark 0x50\/0xffffffff$/m.exec(saved)?.[1]);
  }

  test("a rule marks and a filter leads the mark to its class, in each family", async () => {
    const rules = await must(server.live, "iptables-legacy-save", ["-t", "mangle"]);
    expect(rules).toMatch(/ -o eth0 -p tcp -m tcp --sport 80 -j MARK --set-xmark 0x50\/0xffffffff\n/);
    expect(rules).not.toContain("CLASSIFY");
    const filters = await must(server.live, "tc", ["filter", "show", "dev", "eth0"]);
    expect(filters).toMatch(/protocol ip pref 1 fw chain 0 handle 0x50 classid 1:10/);
    expect(filters).toMatch(/protocol ipv6 pref 2 fw chain 0 handle 0x50 classid 1:10/);
  });

  test.each([4, 6] as const)(
    "IPv%i from port 80 is held to 200 kbit within 5 % over 10 s, and nothing of it goes elsewhere",
    async (family) => {
      const before = await marked(family);
      await download(family, 80);
      const { sent } = await measureBetween("web", 250_000, 190_000, 210_000);
      expect(sent.rest).toBeLessThan(sent.web / 100);
      expect((await marked(family)) - before).toBeGreaterThan(sent.web / 1514);
    },
    PATIENCE_MS,
  );

  test(
    "the rest is held to 1024 kbit, and none of it goes in the web's class",
    async () => {
      await download(4, 9000);
      const { sent } = await measureBetween("rest", 1_000_000, 0.9 * 1_024_000, 1.05 * 1_024_000);
      expect(sent.web).toBe(0);
    },
    PATIENCE_MS,
  );

  test(
    "it is the filter that does it: without it the same packets, marked, go with the rest, until it is mended",
    async () => {
      await must(server.live, "tc", ["filter", "del", "dev", "eth0", "parent", "1:", "prio", "1"]);
      await download(4, 80);
      const { sent } = await measure("rest", 200_000);
      expect(sent.web).toBe(0);
      const { scripts } = await server.hold(await readFile(POLICY, "utf8"));
      expect(scripts.map(({ what }) => what)).toEqual(["eth0: 1 filter"]);
      expect((await measure("web", 50_000)).sent.web).toBeGreaterThanOrEqual(50_000);
    },
    PATIENCE_MS,
  );
});
