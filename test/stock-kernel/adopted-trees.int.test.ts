import { fileURLToPath } from "node:url";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { importedWith } from "../beside/imported.ts";
import { standingTc, withoutTableNumbers } from "../beside/standing-tc.ts";
import type { Adopted, HandMade } from "./adopting-child.ts";
import { type GuestServer, must, openGuestServer } from "./guest-server.ts";
import { onStockKernel } from "./on-stock-kernel.ts";

/** What people build with tc on a kernel that has all of it becomes a policy's as it stands. */
const PROGRAM = fileURLToPath(new URL("adopting-child.ts", import.meta.url));
const PATIENCE_MS = 1_200_000;
const DEVICES = [
  "link set lo up",
  "link add eth0 address 02:00:00:00:00:10 type veth peer name peer0",
  "address add 192.0.2.10/24 dev eth0",
  "address add 2001:db8::10/64 dev eth0 nodad",
  "link set eth0 up",
  "link set peer0 up",
  "neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0",
];

const CLASSIC: HandMade = {
  lines: [
    "iptables-legacy -t mangle -A OUTPUT -o eth0 -p tcp --sport 80 -j MARK --set-mark 80",
    "tc qdisc add dev eth0 root handle 1: htb default 20",
    "tc class add dev eth0 parent 1:0 classid 1:10 htb rate 200kbit ceil 200kbit prio 1 mtu 1500",
    "tc class add dev eth0 parent 1:0 classid 1:20 htb rate 1024kbit ceil 1024kbit prio 2 mtu 1500",
    "tc filter add dev eth0 parent 1:0 protocol ip prio 1 handle 80 fw flowid 1:10",
  ],
  sends: "nc -w 1 -p 80 192.0.2.77 9; true",
  vandal: "tc filter del dev eth0 parent 1: protocol ip prio 1",
};

/** Trees of every kind, filters of every kind, numbered by hand and by tc. */
const TREE = [
  "qdisc add dev eth0 root handle 5: prio",
  "qdisc add dev eth0 parent 5:1 handle 10: htb default 30 r2q 20 direct_qlen 100",
  "class add dev eth0 parent 10: classid 10:1 htb rate 10mbit",
  "class add dev eth0 parent 10:1 classid 10:20 htb rate 2mbit ceil 10mbit burst 20k",
  "class add dev eth0 parent 10:1 classid 10:30 htb rate 8mbit",
  "qdisc add dev eth0 parent 10:20 sfq perturb 10",
  "qdisc add dev eth0 parent 10:30 fq_codel",
  "qdisc add dev eth0 parent 5:2 netem delay 10ms",
  "qdisc add dev eth0 parent 5:3 handle 30: hfsc default 2",
  "class add dev eth0 parent 30: classid 30:1 hfsc sc rate 1mbit ul rate 2mbit",
  "class add dev eth0 parent 30: classid 30:2 hfsc rt m1 4mbit d 10ms m2 1mbit ls rate 2mbit",
  "filter add dev eth0 parent 5: protocol ip prio 1 u32 match ip tos 0x10 0xff flowid 5:1",
  "filter add dev eth0 parent 5: protocol ip prio 2 handle 0x51/0xff fw classid 5:2",
  "filter add dev eth0 parent 10: protocol ip u32 match ip dport 80 0xffff flowid 10:20",
  "filter add dev eth0 parent 10: protocol ipv6 prio 3 flower ip_proto tcp dst_port 80 classid 10:20",
  "filter add dev eth0 parent 10: protocol ip prio 4 flower src_ip 192.0.2.0/24 ip_proto udp classid 10:20",
  "filter add dev eth0 parent 30: protocol all prio 9 matchall classid 30:1",
];

onStockKernel("a tree of trees, built by hand", (kernel) => {
  let server: GuestServer;
  beforeAll(async () => {
    server = await openGuestServer({ kernel: kernel(), devices: DEVICES });
  }, PATIENCE_MS);
  afterAll(() => server?.close());

  test(
    "is imported whole, held with no write to it, and mended where somebody changes it",
    async () => {
      const sh = (command: string) => must(server.live, "sh", ["-c", command]);
      await sh(TREE.map((line) => `tc ${line}`).join(" && "));
      const before = withoutTableNumbers(await standingTc(sh));
      const { live, facts, openRoom } = server;
      const { left, adopted } = await importedWith({ live, backend: "legacy", facts, openRoom });
      expect(left).toEqual([]);
      const held = await server.hold(adopted);
      expect([held.scripts, held.left]).toEqual([[], []]);
      expect(withoutTableNumbers(await standingTc(sh))).toBe(before);
      await sh(
        "tc filter del dev eth0 parent 10: prio 3 protocol ipv6; tc class change dev eth0 parent 30: classid 30:1 hfsc sc rate 2mbit ul rate 2mbit",
      );
      const mended = await server.hold(adopted);
      expect(mended.scripts.map(({ what }) => what)).toEqual(["eth0: 1 class, 1 filter"]);
      expect(mended.left).toEqual([]);
      expect(withoutTableNumbers(await standingTc(sh))).toBe(before);
    },
    PATIENCE_MS,
  );
});

onStockKernel("the classic recipe as its author gives it, with the whole agent at work", (kernel) => {
  let adopted: Adopted;
  let said = "";
  beforeAll(async () => {
    const devices = DEVICES.map((line) => `ip ${line}`).join(" && ");
    await kernel().run("sh", ["-c", devices]);
    const child = kernel().start(process.execPath, [PROGRAM, JSON.stringify(CLASSIC)]);
    child.onText((_, text) => {
      said += text;
    });
    let code: number | null | undefined;
    void child.exited.then((ended) => {
      code = ended;
    });
    await waitUntil("the end", PATIENCE_MS, () => code !== undefined);
    const [, json] = /^adopted (\{.*)$/m.exec(said) ?? expect.fail(said);
    adopted = JSON.parse(json ?? "");
  }, PATIENCE_MS);

  test("it is imported whole: the rule that marks, the classes, the filter of IPv4 at prio 1", () => {
    expect(adopted.left).toEqual([]);
    expect(adopted.text).toContain("--sport 80 -j MARK --set-xmark 0x50/0xffffffff");
    expect(adopted.text).toContain("- 'protocol ip prio 1 handle 0x50 fw'");
    expect(adopted.text).toContain("  - qdisc: eth0\n");
  });

  test("it is adopted and left by uninstall, with no write to it and no counter lost", () => {
    const { outcomes, standing, writes } = adopted;
    expect(outcomes).toEqual([expect.objectContaining({ result: "confirmed" })]);
    expect(writes).toEqual([]);
    const { before, uninstalled, ...others } = standing;
    for (const [moment, { text, sent }] of Object.entries(others)) {
      expect(text, moment).toBe(before?.text);
      for (const [object, bytes] of Object.entries(before?.sent ?? {}))
        expect(sent[object], `${object}, ${moment}`).toBeGreaterThanOrEqual(bytes);
    }
    expect(uninstalled?.text).toBe(before?.text);
  });

  test("packets are led as before, by a rule that is Sluice's now", () => {
    const of = (moment: string) => adopted.standing[moment]?.sent["class 1:10"];
    expect(of("sent")).toBeGreaterThan(of("adopted") ?? Number.NaN);
  });

  test("what somebody changes in it is seen and mended", () => {
    expect(adopted.drifts).toEqual(["missing eth0/filter/1:/1/0x50"]);
  });
});
