import { ScriptRefused } from "@sluice/agents/drivers/driver";
import { configuredRoot, foreignRoots, withReleased } from "@sluice/agents/drivers/tc/foreign";
import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { driver, htbClass, openTcLab, rehearse, type TcLab, targetOf, uplink } from "./tc-lab.ts";

let lab: TcLab;
beforeEach(async () => {
  lab = await openTcLab("eth0", "eth1");
});
afterEach(() => lab[Symbol.asyncDispose]());

const egress = (tree: TcTree): ManifestDevice[] => [{ device: "eth0", egress: tree }];

/** Applies, and asks the kernel whether it now holds exactly that. */
async function converge(devices: readonly ManifestDevice[]) {
  const applied = await lab.apply(devices);
  const have = await driver.read(lab.live, applied.target);
  expect(driver.diff(applied.target, applied.want, applied.want)).toEqual([]);
  expect(driver.diff(applied.target, applied.want, have)).toEqual([]);
  return { ...applied, have };
}

async function classBytes(classid: string): Promise<number> {
  const text = await lab.tc(`-s class show dev eth0 classid ${classid}`);
  return Number(/Sent (\d+) bytes/.exec(text)?.[1]);
}

/** Packets out of eth0; nobody is there, but the qdisc counts them. */
async function sendPackets() {
  await lab.run("ip neigh replace 10.77.0.9 lladdr 02:00:00:00:00:09 dev eth0");
  await lab.live.run("ping", ["-c", "3", "-i", "0.01", "-W", "0.01", "10.77.0.9"]);
}

describe("a tree", () => {
  test("built from nothing stands as rehearsed, and a second apply writes nothing", async () => {
    await converge(egress(uplink()));
    const again = await lab.apply(egress(uplink()));
    expect(again.scripts).toEqual([]);
  });

  test("changes a rate in place: the class goes on counting, the others aren't named", async () => {
    await converge(egress(uplink()));
    await sendPackets();
    const before = await classBytes("1:20");
    expect(before).toBeGreaterThan(0);
    const { scripts } = await converge(egress(uplink({ rest: "900kbit" })));
    expect(scripts.map((script) => script.text)).toEqual([
      expect.stringMatching(/^class change dev eth0 parent 1: classid 1:20 htb rate 900kbit [^\n]*\n$/),
    ]);
    expect(await classBytes("1:20")).toBeGreaterThanOrEqual(before);
  });

  test("is rebuilt when the default class changes, which htb can't do in place", async () => {
    await converge(egress(uplink()));
    const { have } = await converge(egress(uplink({ default: "10" })));
    expect(have.devices.eth0?.qdiscs[0]?.words).toContain("0x10");
  });

  test("moves a class to another parent with its filter and leaf", async () => {
    const flat: TcTree = {
      ...uplink(),
      classes: [htbClass("1:", "1:1", "2mbit"), ...uplink().classes],
      qdiscs: [...uplink().qdiscs, { parent: "1:10", handle: "10:", kind: "pfifo", args: ["limit", "50"] }],
    };
    const nested: TcTree = {
      ...flat,
      classes: flat.classes.map((one) => (one.classid === "1:10" ? { ...one, parent: "1:1" } : one)),
    };
    await converge(egress(flat));
    const { have } = await converge(egress(nested));
    expect(have.devices.eth0?.classes.find((one) => one.classid === "1:10")?.parent).toBe("1:1");
    await converge(egress(flat));
  });

  test("changes a leaf in place, by kind, and takes it away", async () => {
    const withLeaf = (kind: string, args: string[], handle = "10:"): TcTree => ({
      ...uplink(),
      qdiscs: [...uplink().qdiscs, { parent: "1:10", handle, kind, args }],
    });
    await converge(egress(uplink()));
    await converge(egress(withLeaf("pfifo", ["limit", "50"])));
    const { scripts } = await converge(egress(withLeaf("pfifo", ["limit", "60"])));
    expect(scripts.map((script) => script.text)).toEqual([
      "qdisc change dev eth0 parent 1:10 handle 10: pfifo limit 60\n",
    ]);
    await converge(egress(withLeaf("tbf", ["rate", "100kbit", "burst", "5000", "limit", "20000"])));
    await converge(egress(withLeaf("bfifo", ["limit", "30000"], "77:")));
    await converge(egress(uplink()));
  });

  test("makes a leaf class inner and a leaf again", async () => {
    const leafy: TcTree = {
      ...uplink(),
      qdiscs: [...uplink().qdiscs, { parent: "1:20", handle: "20:", kind: "pfifo", args: ["limit", "50"] }],
    };
    const inner: TcTree = {
      ...uplink(),
      classes: [...uplink().classes, htbClass("1:20", "1:21", "100kbit")],
    };
    await converge(egress(leafy));
    await converge(egress(inner));
    const back: TcTree = {
      ...leafy,
      classes: [htbClass("1:", "1:10", "200kbit"), htbClass("1:", "1:20", "1024kbit", ["prio", "5"])],
    };
    await converge(egress(back));
  });

  test("changes filters: their match, their class, and more of them beside", async () => {
    const port = (number: number, flowid: string, handle: string, prio = 1): TcTree["filters"][number] => ({
      parent: "1:",
      protocol: "ip",
      prio,
      handle,
      kind: "u32",
      args: [
        "match",
        "ip",
        "sport",
        String(number),
        "0xffff",
        "match",
        "ip",
        "dport",
        "9",
        "0xffff",
        "flowid",
        flowid,
      ],
    });
    const withFilters = (...filters: TcTree["filters"]): TcTree => ({ ...uplink(), filters });
    await converge(egress(withFilters(port(80, "1:10", "800::1"), port(81, "1:10", "800::2"))));
    const { scripts } = await converge(
      egress(withFilters(port(80, "1:10", "800::1"), port(99, "1:10", "800::2"))),
    );
    expect(scripts[0]?.text).not.toContain("sport 80");
    await converge(egress(withFilters(port(80, "1:20", "800::1"), port(99, "1:10", "800::1", 7))));
    await converge(egress(withFilters(port(80, "1:20", "800::1", 7))));
    const bytecode = {
      ...port(0, "", "1"),
      kind: "bpf",
      protocol: "all",
      args: ["bytecode", "1,6 0 0 65535,", "flowid", "1:20"],
    };
    await converge(egress(withFilters({ ...bytecode, prio: 7 })));
    await converge(egress(withFilters()));
  });

  test("goes, and the kernel's own qdisc comes back", async () => {
    const before = await lab.tc("qdisc show dev eth0");
    await converge(egress(uplink()));
    await converge(withReleased([], egress(uplink())));
    expect(await lab.tc("qdisc show dev eth0")).toBe(before);
  });
});

describe("incoming traffic", () => {
  const incoming: ManifestDevice[] = [{ device: "eth0", ingress: { ifb: "slifb-eth0", tree: uplink() } }];

  test("is shaped on an IFB of ours, seen, and taken away whole", async () => {
    const before = await lab.tc("qdisc show");
    await converge(incoming);
    expect((await lab.apply(incoming)).scripts).toEqual([]);
    await lab.run("ip link set slroom-0 address 02:00:00:00:00:aa");
    // a frame that the other end of the pair sends comes in on eth0
    await lab.run("ip address add 10.99.0.1/24 dev slroom-0");
    await lab.run("ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:bb dev slroom-0");
    await lab.live.run("ping", ["-c", "2", "-i", "0.01", "-W", "0.01", "10.99.0.2"]);
    expect(await lab.tc("-s class show dev slifb-eth0 classid 1:20")).toMatch(/Sent [1-9]\d* bytes/);
    await converge([]); // found by name, without a word of it in the manifest
    expect(await lab.tc("qdisc show")).toBe(before);
    expect(await lab.run("ip -o link show")).not.toContain("slifb-");
  });

  test("is mended after the IFB was deleted or switched off by hand", async () => {
    const { target, want } = await converge(incoming);
    await lab.run("ip link set slifb-eth0 down");
    expect(driver.diff(target, want, await driver.read(lab.live, target))).toMatchObject([
      { object: "slifb-eth0/device", kind: "changed", have: ["down"] },
    ]);
    await converge(incoming);
    await lab.run("ip link del slifb-eth0");
    const lost = driver.diff(target, want, await driver.read(lab.live, target));
    expect(lost).toContainEqual(expect.objectContaining({ object: "slifb-eth0/device", kind: "missing" }));
    await converge(incoming);
  });

  test("leaves another's filter on the ingress hook alone", async () => {
    await converge(incoming);
    await lab.tc("filter add dev eth0 ingress protocol ip prio 9 u32 match ip dport 7 0xffff flowid 1:1");
    expect((await lab.apply(incoming)).scripts).toEqual([]);
    await converge([]);
    expect(await lab.tc("filter show dev eth0 ingress")).toContain("00000007/0000ffff");
  });
});

describe("what is foreign", () => {
  test("stays: another device's root is neither reported nor touched", async () => {
    await lab.tc("qdisc add dev eth1 root handle 7: tbf rate 1mbit burst 5000 limit 9000");
    const before = await lab.tc("qdisc show dev eth1");
    await converge([...egress(uplink()), { device: "eth1", ingress: { ifb: "slifb-eth1", tree: uplink() } }]);
    await converge(withReleased([], egress(uplink())));
    expect(await lab.tc("qdisc show dev eth1")).toBe(before);
  });

  test("is found: a root on a device that was not ours before", async () => {
    await lab.tc("qdisc add dev eth0 root handle 7: tbf rate 1mbit burst 5000 limit 9000");
    const target = targetOf(egress(uplink()));
    const have = await driver.read(lab.live, target);
    expect(configuredRoot(have, "eth0")).toMatchObject({ kind: "tbf", handle: "7:" });
    expect(foreignRoots(target.devices, [], have)).toHaveLength(1);
    expect(foreignRoots(target.devices, target.devices, have)).toEqual([]);
  });

  test("is not taken over by a race: a root that came after the look refuses ours", async () => {
    const target = targetOf(egress(uplink()));
    const want = await rehearse(target);
    const { build } = driver.render(target, want, await driver.read(lab.live, target));
    await lab.tc("qdisc add dev eth0 root handle 1: htb default 5");
    const [script] = build;
    if (script === undefined) throw new Error("nothing to write");
    await expect(driver.write(lab.live, script)).rejects.toThrow(/Exclusivity flag on|File exists/);
    expect(await lab.tc("qdisc show dev eth0")).toContain("default 0x5");
  });
});

describe("drift", () => {
  test("is named object by object with its policy line, and mended", async () => {
    const { target, want } = await converge(egress(uplink()));
    await lab.tc("filter del dev eth0 parent 1: prio 1 protocol ip");
    await lab.tc("class del dev eth0 classid 1:10");
    await lab.tc("class change dev eth0 parent 1: classid 1:20 htb rate 5mbit prio 2");
    await lab.tc("class add dev eth0 parent 1: classid 1:99 htb rate 1mbit");
    const drift = driver.diff(target, want, await driver.read(lab.live, target));
    expect(drift.map(({ object, kind, origin }) => [object, kind, origin?.line])).toEqual([
      ["eth0/class/1:10", "missing", 5],
      ["eth0/class/1:20", "changed", 6],
      ["eth0/class/1:99", "extra", undefined],
      ["eth0/filter/1:/1/::1", "missing", 7],
    ]);
    expect(drift[1]?.want?.[0]).toContain("rate 1024Kbit");
    expect(drift[1]?.have?.[0]).toContain("rate 5Mbit");
    await converge(egress(uplink()));
  });

  test("is not what the device alone decides: its queue length", async () => {
    const { target, want } = await converge(egress(uplink()));
    await lab.run("ip link set eth0 txqueuelen 77");
    await converge(egress(uplink({ default: "10" })));
    await lab.apply(egress(uplink()));
    expect(await lab.tc("qdisc show dev eth0")).toContain("direct_qlen 77");
    expect(driver.diff(target, want, await driver.read(lab.live, target))).toEqual([]);
  });

  test("a device that went away is missing", async () => {
    const { target, want } = await converge(egress(uplink()));
    await lab.run("ip link del eth0");
    const drift = driver.diff(target, want, await driver.read(lab.live, target));
    expect(drift[0]).toMatchObject({ object: "eth0/device", kind: "missing" });
  });
});

describe("a refusal", () => {
  const broken = (change: Partial<TcTree>) => targetOf(egress({ ...uplink(), ...change }));

  async function refusal(change: Partial<TcTree>): Promise<ScriptRefused> {
    const thrown = await rehearse(broken(change)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(thrown instanceof ScriptRefused)) throw new Error(`not refused: ${thrown}`);
    return thrown;
  }

  test("of the kernel comes in its words, with the line and its origin", async () => {
    const [root] = uplink().qdiscs;
    const refused = await refusal({
      qdiscs: [
        ...(root ? [root] : []),
        {
          parent: "1:10",
          handle: "10:",
          kind: "no_such",
          args: [],
          origin: { policy: "uplink", revision: 1, line: 9 },
        },
      ],
    });
    expect(refused.message).toMatch(/kind is unknown/);
    expect(refused.origin?.line).toBe(9);
    expect(refused.text).toContain("no_such");
  });

  test("that makes tc exit without naming the line is found all the same", async () => {
    const classes = uplink().classes.map((one, index) =>
      index === 1 ? { ...one, args: [...one.args, "overhead"] } : one,
    );
    const refused = await refusal({ classes });
    expect(refused.message).toContain("Command line is not complete");
    expect(refused.origin?.line).toBe(6);
  });

  test("that never comes is seen: tc takes a class under a parent that isn't there to the root", async () => {
    const target = broken({ classes: [...uplink().classes, htbClass("1:77", "1:78", "100kbit")] });
    const want = await rehearse(target);
    expect(driver.diff(target, want, want)).toMatchObject([{ object: "eth0/class/1:78", kind: "changed" }]);
  });
});
