import type { ManifestHook } from "@sluice/proto/manifest/manifest";
import { expect, test } from "vitest";
import type { Target } from "../drivers/driver.ts";
import { parseSave } from "../drivers/iptables/parse.ts";
import { tableKey } from "../drivers/iptables/snapshot.ts";
import { hookOrders } from "./hook-order.ts";

function hook(hook: ManifestHook["hook"], at: ManifestHook["at"], more: Partial<ManifestHook> = {}) {
  const chain = `SL-${hook}${at === "tail" ? "-end" : ""}`;
  return { family: 4 as const, table: "filter" as const, hook, chain, at, ...more };
}

function orders(hooks: ManifestHook[], rules: string[]): string[] {
  const target: Target = { sets: [], chains: [], hooks, devices: [], external: { chains: [], sets: [] } };
  const chains = ["f2b-sshd", "DOCKER-USER", "DOCKER", "SL-INPUT", "SL-INPUT-end"];
  const declared = [
    ":INPUT ACCEPT [0:0]",
    ":FORWARD ACCEPT [0:0]",
    ...chains.map((name) => `:${name} - [0:0]`),
  ];
  const tables = parseSave(4, ["*filter", ...declared, ...rules, "COMMIT", ""].join("\n"));
  return hookOrders(target, { tables: new Map(tables.map((table) => [tableKey(4, table.table), table])) });
}

const BETWEEN = ["-A INPUT -p tcp -j f2b-sshd", "-A INPUT -s 192.0.2.1/32 -j DROP"];

test("a hook where others have nothing isn't worth a word", () => {
  expect(orders([hook("INPUT", "head")], ["-A INPUT -j SL-INPUT"])).toEqual([]);
});

test("our head goes before what others have and our tail behind it, standing or not", () => {
  const hooks = [hook("INPUT", "head", { accept: "final" }), hook("INPUT", "tail")];
  const expected = [
    "ip4/filter INPUT: SL-INPUT, then f2b-sshd, then 1 rule of others, then SL-INPUT-end: " +
      "what SL-INPUT drops or accepts never gets to them (accept: final); " +
      "what none of them decides ends in SL-INPUT-end",
  ];
  expect(orders(hooks, BETWEEN)).toEqual(expected);
  const standing = ["-A INPUT -j SL-INPUT", ...BETWEEN, "-A INPUT -j SL-INPUT-end"];
  expect(orders(hooks, standing)).toEqual(expected);
});

test("with accept: return what we accept gets to the others", () => {
  expect(orders([hook("INPUT", "head", { accept: "return" })], BETWEEN)).toEqual([
    "ip4/filter INPUT: SL-INPUT, then f2b-sshd, then 1 rule of others: " +
      "what SL-INPUT drops never gets to them, what it accepts does (accept: return)",
  ]);
});

test("a rule that somebody put before our head is told where it stands", () => {
  const [told] = orders(
    [hook("INPUT", "head")],
    ["-A INPUT -p udp -j DROP", "-A INPUT -j SL-INPUT", ...BETWEEN],
  );
  expect(told).toMatch(/^ip4\/filter INPUT: 1 rule of others, then SL-INPUT, then f2b-sshd, then 1 rule of/);
});

test("on a Docker host our head stands first in DOCKER-USER", () => {
  const rules = ["-A FORWARD -j DOCKER-USER", "-A FORWARD -o docker0 -j DOCKER", "-A DOCKER-USER -j RETURN"];
  expect(orders([hook("FORWARD", "head", { via: "DOCKER-USER" }), hook("FORWARD", "tail")], rules)).toEqual([
    "ip4/filter FORWARD: DOCKER-USER (SL-FORWARD first in it), then DOCKER, then SL-FORWARD-end: " +
      "what SL-FORWARD drops never gets to them; what none of them decides ends in SL-FORWARD-end",
  ]);
});
