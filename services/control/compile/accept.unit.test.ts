import type { ForeignFacts } from "@sluice/proto/manifest/facts";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { describe, expect, test } from "vitest";
import { compile } from "./compile.ts";
import { chain, defaultOf, documentWith, factsWith, inputWith, restoreText } from "./test-input.ts";

const BIT = "-m mark --mark 0x80000000/0x80000000";
const SHARED: ForeignFacts = { jumps: ["ip4/filter/INPUT", "ip6/filter/INPUT"], dockerUser: [] };

type Way = "final" | "return";
const firewall = (way?: Way, ...more: ReturnType<typeof chain>[]): Partial<PolicyDocument> => ({
  firewall: {
    defaults: [defaultOf("INPUT")],
    chains: [
      chain("filter", "INPUT", ["-p tcp --dport 22 -j ssh", "-p udp -j log", "-p icmp -j ACCEPT"]),
      chain("filter", "ssh", ["-s 192.0.2.1 -j ACCEPT", "-j DROP"]),
      chain("filter", "log", ["-j LOG"]),
      ...more,
    ],
    ...(way && { accept: { way, line: 2, column: 1 } }),
  },
});

function compiled(parts: Partial<PolicyDocument>, foreign?: ForeignFacts, targets?: string[]): Manifest {
  const facts = { ...factsWith(targets && { targets }), ...(foreign && { foreign }) };
  const result = compile(inputWith([documentWith(parts)], { facts }));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.manifest;
}

const text4 = (manifest: Manifest) => restoreText(manifest, 4);
const acceptOf = ({ hooks }: Manifest) =>
  hooks
    .filter(({ table, at, family }) => table === "filter" && at === "head" && family === 4)
    .map(({ hook, accept }) => [hook, accept]);

test("accept: final leaves ACCEPT as it is written", () => {
  const manifest = compiled(firewall("final"), SHARED);
  expect(text4(manifest)).toContain("-p icmp -j ACCEPT");
  expect(text4(manifest).join("\n")).not.toContain("0x80000000");
  expect(acceptOf(manifest)).toEqual([["INPUT", "final"]]);
});

test("accept: return marks what is accepted, leaves every chain of ours with it, and the tail lets it pass", () => {
  const manifest = compiled(firewall("return"));
  const text = text4(manifest);
  const from = (name: string, count: number) => {
    const at = text.indexOf(`[filter ${name}]`) + 1;
    return text.slice(at, at + count);
  };
  expect(text.slice(text.indexOf("[filter SL-INPUT]")).slice(4, 7)).toEqual([
    "-j MARK --set-xmark 0x0/0x80000000",
    "-j SL-web-edge-INPUT",
    `${BIT} -j RETURN`,
  ]);
  expect(from("SL-INPUT-end", 2)).toEqual([`${BIT} -j ACCEPT`, "-j DROP"]);
  expect(from("SL-accept", 1)).toEqual(["-j MARK --set-xmark 0x80000000/0x80000000"]);
  expect(from("SL-web-edge-INPUT", 4)).toEqual([
    "-p tcp --dport 22 -j SL-web-edge-ssh",
    `${BIT} -j RETURN`,
    "-p udp -j SL-web-edge-log",
    "-p icmp -g SL-accept",
  ]);
  expect(from("SL-web-edge-ssh", 2)).toEqual(["-s 192.0.2.1 -g SL-accept", "-j DROP"]);
});

describe("unless it is said", () => {
  test("it is final where nobody else has chains, and return in the hooks where others have", () => {
    const output = chain("filter", "OUTPUT", ["-p tcp -j ssh"]);
    expect(acceptOf(compiled(firewall(undefined, output)))).toEqual([
      ["INPUT", "final"],
      ["OUTPUT", "final"],
    ]);
    const manifest = compiled(firewall(undefined, output), SHARED);
    expect(acceptOf(manifest)).toEqual([
      ["INPUT", "return"],
      ["OUTPUT", "final"],
    ]);
    // the chain ssh is shared by both: what it marked is accepted in the hook that is final
    const text = text4(manifest);
    const head = text.slice(text.indexOf("[filter SL-OUTPUT]"));
    expect(head.slice(5, 7)).toEqual(["-j SL-web-edge-OUTPUT", `${BIT} -j ACCEPT`]);
  });

  test("a kernel without MARK is final; saying return there is refused", () => {
    expect(acceptOf(compiled(firewall(), SHARED, ["LOG"]))).toEqual([["INPUT", "final"]]);
    const facts = factsWith({ targets: ["LOG"] });
    const result = compile(inputWith([documentWith(firewall("return"))], { facts }));
    expect(result).toMatchObject({ ok: false, problems: [{ path: "firewall.accept" }] });
  });
});

test("the bit doesn't leave the server: it is cleared before shaping and whoever else reads marks", () => {
  const firewallOf = (way: Way) => ({ defaults: [], chains: [], accept: { way, line: 1, column: 1 } });
  const forward = chain("filter", "FORWARD", ["-j ACCEPT"]);
  const returning = compiled({ firewall: { ...firewallOf("return"), chains: [forward] } });
  // only INPUT asks for it, but what OUTPUT accepts for good is written in the same chains
  const output = chain("filter", "OUTPUT", ["-p tcp -j ssh"]);
  const beside = compiled(firewall(undefined, output), SHARED);
  for (const text of [returning, beside].map(text4)) {
    const at = text.indexOf("[mangle SL-POSTROUTING]");
    expect(text.slice(at, at + 2)).toEqual(["[mangle SL-POSTROUTING]", "-j MARK --set-xmark 0x0/0x80000000"]);
  }
  const input = text4(compiled(firewall("return")));
  expect(input).not.toContain("[mangle SL-POSTROUTING]");
});

test("on a Docker host the head of FORWARD goes into DOCKER-USER, the tail stays in FORWARD", () => {
  const parts = {
    firewall: { defaults: [defaultOf("FORWARD")], chains: [chain("filter", "FORWARD", ["-p tcp -j DROP"])] },
  };
  const { hooks, external } = compiled(parts, { jumps: ["ip4/filter/FORWARD"], dockerUser: [4] });
  const places = hooks.map(({ family, hook, at, via }) => [family, hook, at, via]);
  expect(places).toEqual([
    [4, "FORWARD", "head", "DOCKER-USER"],
    [4, "FORWARD", "tail", undefined],
    [6, "FORWARD", "head", undefined],
    [6, "FORWARD", "tail", undefined],
  ]);
  expect(external.chains).toEqual([{ family: 4, table: "filter", name: "DOCKER-USER" }]);
});
