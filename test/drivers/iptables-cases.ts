import { type Driver, type Script, ScriptRefused, type Target } from "@sluice/agents/drivers/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import type { IptablesSnapshot } from "@sluice/agents/drivers/iptables/snapshot";
import type { IptablesBackend } from "@sluice/agents/drivers/iptables/tools";
import type { ChildHandle } from "@sluice/agents/exec/namespace";
import type { RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { FAMILIES, type Family } from "@sluice/proto/base/names";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { apply, EMPTY, ORIGIN, expected as rehearsed, target, WHOLE } from "./iptables-lab.ts";
import type { Where } from "./where.ts";

/** What the driver does in one backend, on whatever kernel. */
export function iptablesCases(backend: IptablesBackend, where: Where): void {
  const expected = (by: Driver<IptablesSnapshot>, wanted: Target) => rehearsed(by, wanted, where.open);
  const driver = createIptablesDriver({ backend });
  let ns: RehearsalNamespace;
  const ip = (family: Family) => `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;

  async function tool(family: Family, ...args: string[]): Promise<string> {
    const result = await ns.run(ip(family), ["-w", "5", ...args]);
    if (result.code !== 0) throw new Error(`${args.join(" ")}: ${result.stderr}`);
    return result.stdout;
  }

  beforeEach(async () => {
    ns = await where.open();
  });
  afterEach(async () => {
    await driver.close(ns);
    await ns.close();
  });

  test("a target applied to nothing reads back without a difference, and a second apply writes nothing", async () => {
    const want = await expected(driver, WHOLE);
    expect(driver.diff(WHOLE, want, await driver.read(ns, WHOLE)).length).toBeGreaterThan(10);
    await apply(driver, ns, WHOLE, want);
    const have = await driver.read(ns, WHOLE);
    expect(driver.diff(WHOLE, want, have)).toEqual([]);
    expect(driver.render(WHOLE, want, have)).toEqual({ build: [], remove: [] });
    expect([...have.tables.keys()].sort()).toEqual(
      ["ip4", "ip6"].flatMap((ipn) => ["filter", "mangle", "nat", "raw"].map((table) => `${ipn}/${table}`)),
    );
  });

  test("everything of ours goes when nothing is wanted", async () => {
    await apply(driver, ns, WHOLE);
    await apply(driver, ns, EMPTY, { tables: new Map() });
    const have = await driver.read(ns, EMPTY);
    expect(driver.diff(EMPTY, { tables: new Map() }, have)).toEqual([]);
    for (const family of FAMILIES) {
      expect((await ns.run(`${ip(family)}-save`, [])).stdout).not.toContain("SL-");
    }
  });

  test("reading makes no table", async () => {
    await driver.read(ns, WHOLE);
    const tables =
      backend === "legacy"
        ? await ns.run("cat", ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"])
        : await ns.run("iptables-nft-save", []);
    expect(tables.stdout).toBe("");
  });

  test.each(FAMILIES)("changing one chain of ip%i leaves the counters of the others", async (family) => {
    const want = await expected(driver, WHOLE);
    await apply(driver, ns, WHOLE, want);
    const ping = await ns.run("ping", [
      family === 4 ? "-4" : "-6",
      "-c",
      "3",
      "-i",
      "0.01",
      family === 4 ? "127.0.0.1" : "::1",
    ]);
    expect(ping.code).toBe(0);
    const counters = async () => {
      const text = await tool(family, "-t", "filter", "-nvx", "-L", "SL-web-lo");
      return Number(/^\s*(\d+)\s/m.exec(text.split("\n").slice(2).join("\n"))?.[1]);
    };
    const before = await counters();
    expect(before).toBeGreaterThanOrEqual(6);
    const changed: Target = {
      ...WHOLE,
      chains: WHOLE.chains.map((chain) =>
        chain.name === "SL-web-ssh" ? { ...chain, rules: [{ args: "-j REJECT" }] } : chain,
      ),
    };
    const scripts = await apply(driver, ns, changed, await expected(driver, changed));
    expect(scripts.map((script) => script.what)).toEqual(["ip4/filter: 1 chain", "ip6/filter: 1 chain"]);
    expect(await counters()).toBe(before);
  });

  test("what foreign hands did to ours is found, named and mended; what is foreign stays", async () => {
    const want = await expected(driver, WHOLE);
    await tool(4, "-N", "DOCKER");
    await tool(4, "-A", "DOCKER", "-s", "198.51.100.1", "-j", "RETURN");
    await tool(4, "-A", "INPUT", "-p", "tcp", "--dport", "2222", "-j", "DOCKER");
    await tool(4, "-P", "FORWARD", "DROP");
    await apply(driver, ns, WHOLE, want);
    const before = await ns.run(`${ip(4)}-save`, ["-t", "filter"]);

    await tool(4, "-F", "SL-web-ssh"); // changed
    await tool(4, "-N", "SL-stranger"); // extra
    await tool(4, "-D", "INPUT", "-j", "SL-INPUT"); // missing jump
    await tool(6, "-A", "INPUT", "-j", "SL-INPUT"); // doubled jump
    await tool(6, "-t", "raw", "-F", "PREROUTING");
    await tool(6, "-t", "raw", "-F", "SL-PREROUTING");
    await tool(6, "-t", "raw", "-X", "SL-PREROUTING"); // missing

    const found = driver.diff(WHOLE, want, await driver.read(ns, WHOLE));
    expect(found.map(({ kind, object }) => `${kind} ${object}`)).toEqual([
      "changed ip4/filter/SL-web-ssh",
      "extra ip4/filter/SL-stranger",
      "missing ip4/filter/INPUT",
      "missing ip6/raw/SL-PREROUTING",
      "missing ip6/raw/PREROUTING",
      "changed ip6/filter/INPUT",
    ]);
    expect(found[0]?.origin).toEqual({ ...ORIGIN, line: 10 });

    await apply(driver, ns, WHOLE, want);
    expect(driver.diff(WHOLE, want, await driver.read(ns, WHOLE))).toEqual([]);
    const after = await ns.run(`${ip(4)}-save`, ["-t", "filter"]);
    expect(withoutComments(after.stdout)).toEqual(withoutComments(before.stdout));
  });

  test("a rule put before our head is told and left there", async () => {
    const want = await expected(driver, WHOLE);
    await apply(driver, ns, WHOLE, want);
    await tool(4, "-I", "INPUT", "1", "-p", "tcp", "--dport", "1", "-j", "ACCEPT");
    const have = await driver.read(ns, WHOLE);
    expect(driver.diff(WHOLE, want, have)).toEqual([
      {
        driver: "iptables",
        object: "ip4/filter/INPUT",
        kind: "changed",
        want: ["-j SL-INPUT (first)"],
        have: ["-j SL-INPUT (2 of 3)"],
      },
    ]);
    expect(driver.render(WHOLE, want, have)).toEqual({ build: [], remove: [] });
  });

  test("foreign uses of our chains and sets are seen", async () => {
    await ns.run("ipset", ["create", "sl-x-4", "hash:ip"]);
    await apply(driver, ns, WHOLE);
    await tool(4, "-A", "FORWARD", "-s", "192.0.2.7", "-j", "SL-web-ssh");
    await tool(4, "-A", "FORWARD", "-m", "set", "--match-set", "sl-x-4", "src", "-j", "DROP");
    const have = await driver.read(ns, WHOLE);
    expect(have.tables.get("ip4/filter")?.foreignUses.map(({ chain, uses }) => ({ chain, uses }))).toEqual([
      { chain: "FORWARD", uses: "SL-web-ssh" },
      { chain: "FORWARD", uses: "sl-x-4" },
    ]);
  });

  test.each([
    ["an option that the tool doesn't know", "-p tcp --bogus 1 -j DROP", /unknown option "--bogus"/],
    ["an address that isn't one", "-s 300.1.1.1 -j DROP", /host\/network .300\.1\.1\.1. not found/],
    ["a target that isn't there", "-j NOPE", /NOPE/],
    ["a set that isn't there", "-m set --match-set nope src -j DROP", /Set nope doesn't exist/],
    [
      "a hit count that the kernel doesn't take",
      "-m recent --name x --update --hitcount 100000 -j DROP",
      /Invalid argument/,
    ],
    ["a target that doesn't belong in the table", "-p tcp -j TPROXY --on-port 4", /Invalid argument|table/],
    [
      "a target that can't be reached from the hook",
      "-p tcp -j REDIRECT --to-ports 4",
      /Invalid argument|table/,
    ],
  ])("%s is refused with the tool's words and the policy's line", async (_, bad, words) => {
    const wanted = target(
      {
        filter: {
          chains: {
            "SL-web-x": ["-j RETURN", "-p tcp -j RETURN", bad, "-p udp -j RETURN"],
            "SL-INPUT": ["-j SL-web-x"],
          },
          hooks: [{ hook: "INPUT", chain: "SL-INPUT", at: "head" }],
        },
      },
      [4],
    );
    // lines that the child has read before must not count
    await apply(driver, ns, WHOLE);
    await apply(driver, ns, EMPTY, { tables: new Map() });
    const refused = await apply(driver, ns, wanted).then(
      () => expect.unreachable(),
      (thrown: unknown) => thrown,
    );
    if (!(refused instanceof ScriptRefused)) throw refused;
    expect(refused.message).toMatch(words);
    expect(refused.text).toBe(`-A SL-web-x ${bad}`);
    expect(refused.origin).toEqual({ ...ORIGIN, line: 12 });
  });

  test("a rule that may not be reached from its hook is found through the chains that lead there", async () => {
    const wanted = target(
      {
        nat: {
          chains: {
            "SL-INPUT": ["-p tcp -j SL-web-a"],
            "SL-web-a": ["-p udp -j RETURN", "-j SL-web-b"],
            "SL-web-b": ["-p tcp -j RETURN", "-o eth9 -j MASQUERADE"],
          },
          hooks: [{ hook: "INPUT", chain: "SL-INPUT", at: "head" }],
        },
      },
      [4],
    );
    const refused = await apply(driver, ns, wanted).catch((thrown: unknown) => thrown);
    if (!(refused instanceof ScriptRefused)) throw refused;
    expect(refused.text).toBe("-A SL-web-b -o eth9 -j MASQUERADE");
    expect(refused.message).toMatch(/Invalid argument|can't|output interface/);
  });

  test("a refused commit changes nothing, names its line after many that went before, and the next goes through", async () => {
    const want = await expected(driver, WHOLE);
    await apply(driver, ns, WHOLE, want);
    const live = { ...ns, throwAway: false }; // as the live namespace: no trying out
    const script = (...rules: string[]): Script => ({
      driver: "iptables",
      what: "ssh",
      tool: "iptables-restore",
      text: `*filter\n:SL-web-ssh - [0:0]\n${rules.map((rule) => `-A SL-web-ssh ${rule}\n`).join("")}COMMIT\n`,
    });
    const good = script("-m limit --limit 60/minute --limit-burst 5 -j ACCEPT", "-j DROP");
    await driver.write(live, good);
    await driver.write(live, good);
    await expect(driver.write(live, script("-j DROP", "-s 300.1.1.1", "-j DROP"))).rejects.toMatchObject({
      line: 3,
    });
    await driver.write(live, good);
    await expect(
      driver.write(live, script("-j DROP", "-m recent --name x --update --hitcount 100000")),
    ).rejects.toThrow(ScriptRefused);
    expect(driver.diff(WHOLE, want, await driver.read(ns, WHOLE))).toEqual([]);
    await driver.write(live, script("-j DROP"));
    expect(driver.diff(WHOLE, want, await driver.read(ns, WHOLE))).toHaveLength(1);
    await driver.close(live);
  });

  test("a chain that a foreign rule jumps to can't be taken away: refused, and nothing is changed", async () => {
    const want = await expected(driver, WHOLE);
    await apply(driver, ns, WHOLE, want);
    await tool(4, "-A", "FORWARD", "-s", "192.0.2.7", "-j", "SL-web-ssh");
    const { remove } = driver.render(EMPTY, { tables: new Map() }, await driver.read(ns, EMPTY));
    const filter = remove.find((script) => script.what.startsWith("ip4/filter"));
    if (filter === undefined) throw new Error("no removal for ip4/filter");
    await expect(driver.write(ns, filter)).rejects.toThrow(ScriptRefused);
    const left = driver.diff(WHOLE, want, await driver.read(ns, WHOLE));
    expect(left.filter(({ object }) => object.startsWith("ip4/filter"))).toEqual([]);
  });

  test("a child that was killed between two commits is replaced", async () => {
    const script = (rule: string): Script => ({
      driver: "iptables",
      what: rule,
      tool: "iptables-restore",
      text: `*filter\n:SL-a - [0:0]\n-A SL-a ${rule}\nCOMMIT\n`,
    });
    const spawned: ChildHandle[] = [];
    const watched: RehearsalNamespace = {
      ...ns,
      spawn(command, args) {
        const child = ns.spawn(command, args);
        spawned.push(child);
        return child;
      },
    };
    await driver.write(watched, script("-j DROP"));
    await driver.write(watched, script("-j RETURN"));
    expect(spawned).toHaveLength(1);
    spawned[0]?.kill();
    await driver.write(watched, script("-j ACCEPT"));
    expect(spawned).toHaveLength(2);
    expect((await driver.read(ns, EMPTY)).tables.get("ip4/filter")?.chains.get("SL-a")).toEqual([
      "-j ACCEPT",
    ]);
    await driver.close(watched);
  });

  test("any order of the same edits ends in the same kernel, and applying twice writes nothing", async () => {
    const rules = [
      "-s 192.0.2.1 -j ACCEPT",
      "-p tcp --dport 80 -j DROP",
      "-j SL-web-b",
      "-m recent --name q --set",
    ];
    const specs = fc.record({
      a: fc.subarray(rules),
      b: fc.option(fc.subarray(rules.filter((rule) => !rule.includes("SL-")))),
      head: fc.boolean(),
      tail: fc.boolean(),
    });
    const toTarget = ({
      a,
      b,
      head,
      tail,
    }: {
      a: string[];
      b: string[] | null;
      head: boolean;
      tail: boolean;
    }) =>
      target(
        {
          filter: {
            chains: {
              "SL-web-a": b === null ? a.filter((rule) => !rule.includes("SL-")) : a,
              ...(b === null ? {} : { "SL-web-b": b }),
            },
            hooks: [
              ...(head ? [{ hook: "INPUT", chain: "SL-web-a", at: "head" } as const] : []),
              ...(tail ? [{ hook: "FORWARD", chain: "SL-web-a", at: "tail" } as const] : []),
            ],
          },
        },
        [4],
      );
    await fc.assert(
      fc.asyncProperty(fc.array(specs, { minLength: 1, maxLength: 3 }), specs, async (edits, final) => {
        const last = toTarget(final);
        const want = await expected(driver, last);
        for (const order of [edits, edits.toReversed()]) {
          await using kernel = await where.open();
          for (const edit of order)
            await apply(driver, kernel, toTarget(edit), await expected(driver, toTarget(edit)));
          await apply(driver, kernel, last, want);
          expect(driver.diff(last, want, await driver.read(kernel, last))).toEqual([]);
          expect(await apply(driver, kernel, last, want)).toEqual([]);
        }
      }),
      { numRuns: where.runs },
    );
  });
}

function withoutComments(text: string): string[] {
  return text.split("\n").filter((line) => !line.startsWith("#"));
}
