import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import {
  chain,
  defaultOf,
  documentWith,
  factsWith,
  firewallOf,
  guardWith,
  inputWith,
  restoreText,
  rule,
} from "./test-input.ts";
import { walkHook } from "./walk-chains.ts";

function compiled(...documents: PolicyDocument[]): Manifest {
  const result = compile(inputWith(documents));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.manifest;
}

const LOGGED = "-m limit --limit 10/minute --limit-burst 5 -j LOG --log-prefix";

test("a policy without chains of its own is observed by jumps that leave it", () => {
  const observed = documentWith({
    mode: "observe",
    ...firewallOf(
      chain("filter", "INPUT", ["-p tcp --dport 22 -j ACCEPT", "-p tcp -j REJECT --reject-with tcp-reset"]),
    ),
  });
  const text = restoreText(compiled(observed), 4);
  expect(text).toEqual([
    "[filter SL-INPUT]",
    "-j SL-web-edge-INPUT",
    "[filter SL-web-edge-INPUT]",
    "-i lo -j RETURN",
    "-m set --match-set sl-protect-4 src -j RETURN",
    "-p tcp -m set --match-set sl-control-4 src,src -j RETURN",
    "-p tcp --dport 22 -j RETURN",
    "-p tcp -g SL-web-edge-o-1",
    "[filter SL-web-edge-o-1]",
    `${LOGGED} "observe web-edge:1 "`,
  ]);
});

test("one observed rule among others counts, logs, and the packet goes on to the next", () => {
  const document = documentWith(
    firewallOf(
      chain("filter", "INPUT", [
        rule("-p tcp --dport 23 -j DROP", { mode: "observe", line: 7 }),
        rule("-p udp -j ACCEPT", { mode: "observe" }),
        "-p tcp --dport 22 -j ACCEPT",
      ]),
    ),
  );
  const text = restoreText(compiled(document), 4);
  expect(text.slice(text.indexOf("[filter SL-web-edge-INPUT]"))).toEqual([
    "[filter SL-web-edge-INPUT]",
    "-p tcp --dport 23 -j SL-web-edge-o-1",
    "-p udp",
    "-p tcp --dport 22 -j ACCEPT",
    "[filter SL-web-edge-o-1]",
    `${LOGGED} "observe web-edge:7 "`,
  ]);
});

test("where the kernel can't LOG, NFLOG does, and where it can do neither, nothing is logged", () => {
  const document = documentWith({ mode: "observe", ...firewallOf(chain("filter", "INPUT", ["-j DROP"])) });
  const logs = (targets: string[]) => {
    const result = compile(inputWith([document], { facts: factsWith({ targets }) }));
    if (!result.ok) throw new Error("refused");
    return restoreText(result.manifest, 4).filter((line) => line.includes("limit"));
  };
  expect(logs(["NFLOG"])).toEqual([
    '-m limit --limit 10/minute --limit-burst 5 -j NFLOG --nflog-prefix "observe web-edge:1 "',
  ]);
  expect(logs([])).toEqual([]);
});

test("an observed policy protects nothing, blocks nothing and ends no hook", () => {
  const manifest = compiled(
    documentWith({
      mode: "observe",
      protect: [{ text: "198.51.100.0/24", line: 3, column: 1 }],
      blocks: [{ list: "blocklist", direction: "both", line: 2, column: 1 }],
      guards: [guardWith()],
      firewall: { defaults: [defaultOf("INPUT")], chains: [] },
    }),
  );
  expect(manifest.protect).toEqual([]);
  const decides = manifest.chains
    .flatMap(({ rules }) => rules)
    .filter(({ args }) => /ACCEPT|DROP|REJECT/.test(args));
  expect(decides).toEqual([]);
});

test("what a guard or a block would have dropped isn't dropped again by what comes after", () => {
  const manifest = compiled(
    documentWith({
      mode: "observe",
      blocks: [{ list: "blocklist", direction: "in", line: 2, column: 1 }],
      guards: [guardWith()],
      firewall: { defaults: [defaultOf("INPUT")], chains: [chain("filter", "INPUT", ["-p tcp -j DROP"])] },
    }),
  );
  const fits = (...texts: string[]) => ({ fits: new Set(texts), mark: 0 });
  const counted = (...texts: string[]) =>
    walkHook(manifest, 4, "INPUT", fits(...texts)).observed.map(({ path }) => path);
  const toSsh = "-p tcp --dport 22 -m conntrack --ctstate NEW";
  const banned = "-m recent --update --name sl:web-edge:ssh:ban --seconds 600 --hitcount 1";
  expect(counted(toSsh, banned, banned.replace("update", "rcheck"), "-p tcp")).toEqual(["guards.ssh"]);
  expect(counted("-p tcp")).toEqual(["firewall.filter.INPUT[0]"]);
  expect(counted("-m set --match-set sl-l-blocklist-4 src", "-p tcp")).toEqual([]);
  expect(counted()).toEqual(["firewall.filter.INPUT.default"]);
});

test("what a block would have dropped on its way through isn't dropped again in FORWARD", () => {
  const manifest = compiled(
    documentWith({
      mode: "observe",
      blocks: [{ list: "blocklist", direction: "both", line: 2, column: 1 }],
      firewall: { defaults: [], chains: [chain("filter", "FORWARD", ["-p tcp -j DROP"])] },
    }),
  );
  const counted = (...texts: string[]) =>
    walkHook(manifest, 4, "FORWARD", { fits: new Set(texts), mark: 0 }).observed.map(({ path }) => path);
  const listed = `-m set --match-set sl-l-blocklist-4 dst ${["src", "dst"]
    .map((end) => `-m set ! --match-set sl-protect-4 ${end}`)
    .join(" ")}`;
  expect(counted("-p tcp")).toEqual(["firewall.filter.FORWARD[0]"]);
  expect(counted(listed, "-p tcp")).toEqual([]);
  expect(counted("-m set --match-set sl-l-blocklist-4 src", "-p tcp")).toEqual([]);
});

test("two policies can't share a recent list when one of them is observed", () => {
  const documents = (mode?: "observe") => [
    documentWith({
      policy: "a",
      mode,
      ...firewallOf(chain("filter", "INPUT", ["-m recent --name x --set"])),
    }),
    documentWith({
      policy: "b",
      ...firewallOf(chain("filter", "INPUT", ["-m recent --name x --rcheck -j DROP"])),
    }),
  ];
  expect(compile(inputWith(documents())).ok).toBe(true);
  expect(compile(inputWith(documents("observe")))).toMatchObject({
    problems: [{ message: "the recent list x is also used by a, and one of them is observed" }],
  });
});

test("another policy decides as if the observed one weren't there, and its default alone ends the hook", () => {
  const enforced = documentWith({
    policy: "base",
    order: 200,
    firewall: { defaults: [defaultOf("INPUT")], chains: [chain("filter", "INPUT", ["-p tcp -j ACCEPT"])] },
  });
  const observed = documentWith({
    mode: "observe",
    firewall: {
      defaults: [defaultOf("INPUT", "reject")],
      chains: [chain("filter", "INPUT", ["-p tcp -j DROP"])],
    },
  });
  const manifest = compiled(enforced, observed);
  const walk = walkHook(manifest, 4, "INPUT", { fits: new Set(["-p tcp"]), mark: 0 });
  expect(walk).toMatchObject({
    verdict: "accept",
    by: { policy: "base" },
    observed: [{ policy: "web-edge" }],
  });
  const other = walkHook(manifest, 4, "INPUT", { fits: new Set(), mark: 0 });
  expect(other).toMatchObject({ verdict: "drop", by: { policy: "base" }, observed: [] });
});

/** Policies whose chains go to those after them; every rule matches its own address, or everything. */
const CHAINS = ["INPUT", "a", "b", "c"];
const SOURCES = ["", "-s 192.0.2.1 ", "-s 192.0.2.2 ", "-s 192.0.2.3 "];
const policies = fc
  .tuple(
    ...CHAINS.map((_, index) => {
      const targets = [
        ...["-j ACCEPT", "-j DROP", "-j RETURN", "-j LOG", ""],
        ...CHAINS.slice(index + 1).flatMap((to) => [`-j ${to}`, `-g ${to}`]),
      ];
      return fc.array(fc.tuple(fc.constantFrom(...SOURCES), fc.constantFrom(...targets)), { maxLength: 5 });
    }),
    fc.boolean(),
  )
  .map((parts) => ({
    chains: CHAINS.map((name, index) =>
      chain(
        "filter",
        name,
        (parts[index] as [string, string][]).map(
          ([source, target]) => `${source}${target}`.trim() || "-p all",
        ),
      ),
    ),
    defaults: parts.at(-1) === true ? [defaultOf("INPUT")] : [],
  }));
const packets = fc.record({
  fits: fc.subarray(SOURCES.map((text) => text.trim())).map((some) => new Set(["-p all", ...some])),
  mark: fc.constantFrom(0, 7, 0x80000000, 0x80000007, 0xffffffff),
});

test("law: an observed policy leaves every packet as it came, and counts what the enforced one would drop", () => {
  fc.assert(
    fc.property(policies, packets, (firewall, packet) => {
      const enforced = walkHook(compiled(documentWith({ firewall })), 4, "INPUT", packet);
      const manifest = compiled(documentWith({ mode: "observe", firewall }));
      const observed = walkHook(manifest, 4, "INPUT", packet);
      expect(observed).toMatchObject({ verdict: undefined, mark: packet.mark });
      const drops = observed.observed.filter(({ path = "" }) => {
        const [, name, index] = /(\w+)\[(\d+)\]$/.exec(path) ?? [];
        const found = firewall.chains.find((one) => one.name === name)?.rules[Number(index)];
        return found === undefined || found.text.endsWith("DROP");
      });
      expect(drops.map(({ path }) => path)).toEqual(enforced.verdict === "drop" ? [enforced.by?.path] : []);
    }),
    { numRuns: 400 },
  );
});

test("law: observed rules change no packet's fate among those that are enforced", () => {
  fc.assert(
    fc.property(policies, packets, fc.infiniteStream(fc.boolean()), (firewall, packet, coins) => {
      const chains = firewall.chains.map((one) => ({
        ...one,
        rules: one.rules.map((of) => (coins.next().value ? { ...of, mode: "observe" as const } : of)),
      }));
      const without = chains.map((one) => ({
        ...one,
        rules: one.rules.map((of) =>
          of.mode === undefined ? of : { ...rule("-s 203.0.113.99"), line: of.line },
        ),
      }));
      const observed = walkHook(
        compiled(documentWith({ firewall: { ...firewall, chains } })),
        4,
        "INPUT",
        packet,
      );
      const alone = walkHook(
        compiled(documentWith({ firewall: { ...firewall, chains: without } })),
        4,
        "INPUT",
        packet,
      );
      expect({ ...observed, observed: [] }).toEqual({ ...alone, observed: [] });
    }),
    { numRuns: 250 },
  );
});
