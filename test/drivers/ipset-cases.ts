import {
  type Driver,
  type Script,
  ScriptRefused,
  type Target,
  type TargetSet,
} from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { readMembers } from "@sluice/agents/drivers/ipset/read";
import { renderReplace } from "@sluice/agents/drivers/ipset/render-list";
import type { IpsetSnapshot } from "@sluice/agents/drivers/ipset/snapshot";
import type { ChildHandle, Namespace } from "@sluice/agents/exec/namespace";
import type { RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { testMembers } from "@sluice/agents/lists/test-members";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Where } from "./where.ts";

const ORIGIN = { policy: "web-edge", revision: 4, line: 17 };
const driver = createIpsetDriver();

function set(name: string, type: string, entries: string[], more: Partial<TargetSet> = {}): TargetSet {
  const family = /^(bitmap|list):/.test(type) ? null : 4;
  return { name, type, family, options: [], entries, use: "policy", origin: ORIGIN, ...more };
}

function list(name: string, entries: string[]): TargetSet {
  const { live } = testMembers(entries);
  return set(name, "hash:net", [], { options: ["timeout", "0"], use: "list", live });
}

function target(...sets: TargetSet[]): Target {
  return { sets, chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };
}

const WHOLE = target(
  set("sl-group", "list:set", ["sl-net4", "sl-port"]),
  set("sl-net4", "hash:net", ["192.0.2.1/32", "10.1.2.3/8", "198.51.100.0-198.51.100.5"]),
  set("sl-net6", "hash:net", ["2001:DB8::1/128", "2001:db8:1::/48 nomatch"], { family: 6 }),
  set("sl-ip4", "hash:ip", ["192.0.2.8/30", '198.51.100.1 comment "a b"'], {
    options: ["comment", "counters"],
  }),
  set("sl-port", "hash:ip,port", ["192.0.2.1,tcp:80-82", "192.0.2.2,udp:53"]),
  set("sl-ports", "bitmap:port", ["22", "80-82"], { options: ["range", "0-1023"] }),
  set("sl-mac", "hash:net,iface", ["10.0.0.0/8,eth0"]),
  set("sl-timed", "hash:ip", ["192.0.2.5"], { options: ["timeout", "600"] }),
  list("sl-l-block-4", ["192.0.2.77"]),
  set("sl-protect-4", "hash:net", ["127.0.0.0/8"], { use: "protect" }),
);

type Refusal = [name: string, bad: TargetSet, words: RegExp, text: string];

function lacking(type: string): Refusal {
  return ["a type that the kernel lacks", set("sl-a", type, []), /not supported/, `create sl-a ${type}`];
}

/** What the driver does, on whatever kernel. */
export function ipsetCases(where: Where): void {
  let ns: RehearsalNamespace;
  beforeEach(async () => {
    ns = await where.open();
  });
  afterEach(async () => {
    await driver.close(ns);
    await ns.close();
  });

  async function ipset(...args: string[]): Promise<string> {
    const result = await ns.run("ipset", args);
    if (result.code !== 0) throw new Error(`${args.join(" ")}: ${result.stderr}`);
    return result.stdout;
  }

  async function apply(
    at: Namespace,
    wanted: Target,
    want?: IpsetSnapshot,
    by: Driver<IpsetSnapshot> = driver,
  ) {
    const steps = by.render(wanted, want, await by.read(at, wanted));
    if (steps.refused !== undefined) throw steps.refused[0];
    const scripts: Script[] = [...steps.build, ...steps.remove];
    for (const script of scripts) await by.write(at, script);
    return scripts;
  }

  /** What the kernel reads back of a target that was built from nothing. Lists are rehearsed empty. */
  async function expected(wanted: Target): Promise<IpsetSnapshot> {
    await using rehearsal = await where.open();
    const sets = wanted.sets.map((one) => (one.use === "list" ? { ...one, live: undefined } : one));
    await apply(rehearsal, { ...wanted, sets });
    return await driver.read(rehearsal, wanted); // before the namespace goes
  }

  function members(snapshot: IpsetSnapshot, name: string): string[] {
    return [...(snapshot.sets.get(name)?.members?.lasting ?? [])].sort();
  }

  test("a target applied to nothing reads back without a difference, and a second apply writes nothing", async () => {
    const want = await expected(WHOLE);
    expect(driver.diff(WHOLE, want, await driver.read(ns, WHOLE)).map(({ kind }) => kind)).toEqual(
      WHOLE.sets.map(() => "missing"),
    );
    await apply(ns, WHOLE, want);
    const have = await driver.read(ns, WHOLE);
    expect(driver.diff(WHOLE, want, have)).toEqual([]);
    expect(driver.render(WHOLE, want, have)).toEqual({ build: [], remove: [] });
    expect(members(have, "sl-net4")).toEqual([
      "10.0.0.0/8",
      "192.0.2.1",
      "198.51.100.0/30",
      "198.51.100.4/31",
    ]);
    expect(members(have, "sl-timed")).toEqual(["192.0.2.5 timeout 0"]);
  });

  test("everything of ours goes when nothing is wanted, what is foreign stays", async () => {
    await ipset("create", "f2b-sshd", "hash:ip");
    await ipset("add", "f2b-sshd", "203.0.113.1");
    const foreign = await ipset("save");
    await apply(ns, WHOLE);
    await apply(ns, target(), { sets: new Map() });
    expect(await ipset("save")).toBe(foreign);
  });

  test("what foreign hands did is found, named and mended", async () => {
    const want = await expected(WHOLE);
    await apply(ns, WHOLE, want);
    await ipset("del", "sl-net4", "10.0.0.0/8");
    await ipset("add", "sl-net4", "203.0.113.0/24");
    await ipset("flush", "sl-port");
    await ipset("flush", "sl-l-block-4");
    await ipset("destroy", "sl-mac");
    await ipset("create", "sl-stranger", "hash:ip");
    await ipset("add", "sl-timed", "203.0.113.9", "timeout", "60"); // runs out by itself: no drift
    const found = driver.diff(WHOLE, want, await driver.read(ns, WHOLE));
    expect(found.map(({ kind, object }) => `${kind} ${object}`)).toEqual([
      "changed set/sl-net4",
      "changed set/sl-port",
      "missing set/sl-mac",
      "changed set/sl-l-block-4",
      "extra set/sl-stranger",
    ]);
    expect(found[0]).toMatchObject({ want: ["10.0.0.0/8"], have: ["203.0.113.0/24"], origin: ORIGIN });
    await apply(ns, WHOLE, want);
    expect(driver.diff(WHOLE, want, await driver.read(ns, WHOLE))).toEqual([]);
    expect((await readMembers(ns, "sl-timed"))?.expiring).toHaveLength(1);
    expect((await readMembers(ns, "sl-l-block-4"))?.lasting).toEqual(["192.0.2.77 timeout 0"]);
  });

  describe("a change of a set that a rule uses", () => {
    const net = (...entries: string[]) => target(set("sl-a", "hash:net", entries));

    async function stand(entries: string[]): Promise<void> {
      await apply(ns, net(...entries), await expected(net(...entries)));
      const rule = await ns.run(where.iptables, [
        "-A",
        "INPUT",
        "-m",
        "set",
        "--match-set",
        "sl-a",
        "src",
        "-j",
        "DROP",
      ]);
      expect(rule.stderr).toBe("");
    }

    test("that is small is edited in place", async () => {
      const many = Array.from({ length: 200 }, (_, n) => `10.0.${n}.0/24`);
      await stand(many);
      const next = net(...many.slice(2), "192.0.2.0/24");
      const want = await expected(next);
      const [script] = await apply(ns, next, want);
      expect(script?.text.trimEnd().split("\n")).toHaveLength(3);
      expect(driver.diff(next, want, await driver.read(ns, next))).toEqual([]);
    });

    test("that is large is swapped in, and no temporary set is left", async () => {
      await stand(["10.0.0.0/8"]);
      const next = net(...Array.from({ length: 5000 }, (_, n) => `192.${n >> 8}.${n & 255}.0/24`));
      const other: Target = { ...next, sets: next.sets.map((one) => ({ ...one, options: ["counters"] })) };
      const want = await expected(other);
      await apply(ns, other, want);
      expect(driver.diff(other, want, await driver.read(ns, other))).toEqual([]);
      expect(await ipset("list", "-n")).toBe("sl-a\n");
    });

    test("that is refused half-way leaves the old content and no temporary set", async () => {
      await stand(["10.0.0.0/8"]);
      const next: Target = target(
        set("sl-a", "hash:net", ["192.0.2.0/24", "192.0.2.0/99"], { options: ["counters"] }),
      );
      const refused = await apply(ns, next).catch((thrown: unknown) => thrown);
      if (!(refused instanceof ScriptRefused)) throw refused;
      expect(refused.message).toContain("'99' is out of range 0-32");
      expect(refused.text).toMatch(/^add -exist sl-tmp-\w+ 192\.0\.2\.0\/99$/);
      expect(refused.origin).toEqual(ORIGIN);
      expect(await ipset("list", "-n")).toBe("sl-a\n");
      expect((await readMembers(ns, "sl-a"))?.lasting).toEqual(["10.0.0.0/8"]);
    });

    test("to another type is refused by name while it is used", async () => {
      await stand(["10.0.0.0/8"]);
      const next = target(set("sl-a", "hash:ip", ["10.0.0.1"]));
      await expect(apply(ns, next)).rejects.toThrow(
        "set sl-a stands as hash:net of IPv4, wanted is hash:ip of IPv4, and 1 rules or sets use it",
      );
    });

    test("to nothing waits until the kernel lets go of it", async () => {
      await stand(["10.0.0.0/8"]);
      const gone = apply(ns, target(), { sets: new Map() });
      await ns.run(where.iptables, ["-F", "INPUT"]);
      await gone;
      expect(await ipset("list", "-n")).toBe("");
    });

    test("to nothing is refused with the kernel's words if it doesn't", async () => {
      await stand(["10.0.0.0/8"]);
      const refused = await apply(ns, target(), { sets: new Map() }).catch((thrown: unknown) => thrown);
      if (!(refused instanceof ScriptRefused)) throw refused;
      expect(refused.message).toContain("in use by a kernel component");
      expect(refused.text).toBe("destroy sl-a");
    });
  });

  test.each<Refusal>([
    [
      "an address that isn't one",
      set("sl-a", "hash:ip", ["192.0.2.1", "300.1.1.1"]),
      /300\.1\.1\.1/,
      "300.1.1.1",
    ],
    ["a network that the type can't hold", set("sl-a", "hash:net", ["0.0.0.0/0"]), /CIDR/, "0.0.0.0/0"],
    ...(where.lacks === undefined ? [] : [lacking(where.lacks)]),
    [
      "a type that nobody knows",
      set("sl-a", "hash:bogus", []),
      /'hash:bogus' is unknown/,
      "create sl-a hash:bogus",
    ],
    [
      "an option that the type lacks",
      set("sl-a", "hash:net", [], { options: ["netmask", "24"] }),
      /netmask/,
      "netmask",
    ],
    [
      "one entry more than there is room",
      set("sl-a", "hash:ip", ["10.0.0.0/28"], { options: ["maxelem", "4"] }),
      /full/,
      "10.0.0.0/28",
    ],
  ])("%s is refused with the tool's words and the policy's line", async (_, bad, words, text) => {
    const good = set("sl-0", "hash:ip", ["192.0.2.1"], { origin: { ...ORIGIN, line: 1 } });
    const refused = await apply(ns, target(good, bad)).catch((thrown: unknown) => thrown);
    if (!(refused instanceof ScriptRefused)) throw refused;
    expect(refused.message).toMatch(words);
    expect(refused.text).toContain(text);
    expect(refused.origin).toEqual(ORIGIN);
  });

  describe("a list", () => {
    const name = "sl-l-block-4";
    const empty = list(name, []);

    /** lines as a delta brings them */
    function delta(add: string[], del: string[] = []): Script {
      const lines = [
        ...add.map((entry) => `add -exist ${name} ${entry}`),
        ...del.map((entry) => `del -exist ${name} ${entry}`),
      ];
      return { driver: "ipset", what: "a delta", tool: "ipset", text: `${lines.join("\n")}\n` };
    }

    /** counts the children that are started */
    function watched(): { at: Namespace; children: ChildHandle[] } {
      const children: ChildHandle[] = [];
      return {
        children,
        at: {
          ...ns,
          spawn(command, args) {
            const child = ns.spawn(command, args);
            children.push(child);
            return child;
          },
        },
      };
    }

    test("takes deltas through one waiting child, which is replaced when it was killed", async () => {
      const { at, children } = watched();
      await apply(at, target(empty));
      await driver.write(at, delta(["192.0.2.1", "192.0.2.2 timeout 3600"]));
      await driver.write(at, delta(["192.0.2.3"], ["192.0.2.1", "203.0.113.1"]));
      expect(children).toHaveLength(1);
      const held = await readMembers(at, name);
      expect(held?.lasting).toEqual(["192.0.2.3 timeout 0"]);
      expect(held?.expiring).toEqual([expect.stringMatching(/^192\.0\.2\.2 timeout 3[56]\d\d$/)]);

      children[0]?.kill();
      await driver.write(at, delta(["192.0.2.4"]));
      await driver.write(at, delta(["192.0.2.5"]));
      expect(children).toHaveLength(2);
      expect((await readMembers(at, name))?.lasting.toSorted()).toEqual([
        "192.0.2.3 timeout 0",
        "192.0.2.4 timeout 0",
        "192.0.2.5 timeout 0",
      ]);
      await driver.close(at);
    });

    test("refuses a bad delta with its line, and takes the next one", async () => {
      await apply(ns, target(empty));
      const refused = await driver
        .write(ns, delta(["192.0.2.1", "nonsense", "192.0.2.2"]))
        .catch((thrown: unknown) => thrown);
      if (!(refused instanceof ScriptRefused)) throw refused;
      expect(refused.text).toBe(`add -exist ${name} nonsense`);
      await driver.write(ns, delta(["192.0.2.9"]));
      expect((await readMembers(ns, name))?.lasting).toContain("192.0.2.9 timeout 0");
    });

    test("is told right after somebody made its set anew with another family", async () => {
      await apply(ns, target(empty));
      await driver.write(ns, delta(["192.0.2.1"]));
      await ipset("destroy", name);
      await ipset("create", name, "hash:net", "family", "inet6", "timeout", "0");
      await driver.write(ns, delta(["2001:db8::/32"]));
      expect((await readMembers(ns, name))?.lasting).toEqual(["2001:db8::/32 timeout 0"]);
    });

    test(`of ${where.many} is loaded at once, grown when it needs to be, and keeps its members over an apply`, async () => {
      const entries = Array.from(
        { length: where.many },
        (_, n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
      );
      const { live, ...large } = list(name, entries);
      if (live === undefined) throw new Error("no members");
      await apply(ns, target(list(name, ["192.0.2.1"])));
      await driver.write(ns, renderReplace({ ...large, live }, live, await driver.read(ns, target(large))));
      const wanted = target({ ...large, live });
      const want = await expected(wanted);
      expect(await apply(ns, wanted, want)).toEqual([]);
      const have = await driver.read(ns, wanted);
      expect(have.sets.get(name)).toMatchObject({ count: where.many });
      expect(have.sets.get(name)?.members).toBeUndefined();
      expect(driver.diff(wanted, want, have)).toEqual([]);
    });

    test("is compared member by member as the kernel prints it, both families, and what is wrong alone is written", async () => {
      const fours = Array.from({ length: 5_000 }, (_, n) => `198.18.${n >> 8}.${n & 255}`);
      const sixes = Array.from({ length: 5_000 }, (_, n) => `2001:db8:${(n + 1).toString(16)}::/48`);
      const mapped = ["::ffff:192.0.2.9", "2001:db8::1:0:0:1"];
      const wanted = target(
        { ...list(name, [...fours, "192.0.2.0/24", "203.0.113.9 for 600"]), isReadWhole: true },
        {
          ...list("sl-l-block-6", []),
          family: 6,
          live: testMembers([...sixes, ...mapped], 6).live,
          isReadWhole: true,
        },
      );
      const want = await expected(wanted);
      await apply(ns, wanted, want);
      expect(driver.diff(wanted, want, await driver.read(ns, wanted))).toEqual([]);
      await ipset("del", name, "198.18.0.7");
      await ipset("add", name, "10.9.9.9");
      await ipset("add", "-exist", name, "198.18.0.8", "timeout", "900");
      await ipset("del", "sl-l-block-6", "2001:db8:5::/48");
      expect(driver.diff(wanted, want, await driver.read(ns, wanted))).toMatchObject([
        { want: expect.arrayContaining(["198.18.0.7", "198.18.0.8"]), have: ["10.9.9.9"] },
        { want: ["2001:db8:5::/48"] },
      ]);
      expect(await apply(ns, wanted, want)).toHaveLength(2);
      expect(driver.diff(wanted, want, await driver.read(ns, wanted))).toEqual([]);
      expect((await readMembers(ns, name))?.expiring).toHaveLength(1);
    });
  });

  test("a set that isn't there has no members", async () => {
    expect(await readMembers(ns, "sl-none")).toBeUndefined();
  });

  test("any order of the same edits ends in the same kernel, and applying twice writes nothing", async () => {
    const addresses = ["192.0.2.1", "192.0.2.0/24", "198.51.100.0/25", "203.0.113.7", "10.0.0.0/8"];
    const specs = fc.record({
      a: fc.subarray(addresses),
      b: fc.option(fc.subarray(addresses)),
      options: fc.constantFrom<string[]>([], ["counters"], ["timeout", "60"], ["maxelem", "8"]),
    });
    const toTarget = ({ a, b, options }: { a: string[]; b: string[] | null; options: string[] }) =>
      target(
        set("sl-a", "hash:net", a, { options }),
        ...(b === null ? [] : [set("sl-b", "hash:net", b), set("sl-c", "list:set", ["sl-b"])]),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(specs, { minLength: 1, maxLength: 3 }), specs, async (edits, final) => {
        const last = toTarget(final);
        const want = await expected(last);
        for (const order of [edits, edits.toReversed()]) {
          await using kernel = await where.open();
          for (const edit of order) await apply(kernel, toTarget(edit), await expected(toTarget(edit)));
          await apply(kernel, last, want);
          expect(driver.diff(last, want, await driver.read(kernel, last))).toEqual([]);
          expect(await apply(kernel, last, want)).toEqual([]);
        }
      }),
      { numRuns: where.runs },
    );
  });
}
