import type { PolicyGuard } from "@sluice/proto/policy/document";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import { documentWith, factsWith, guardWith, inputWith, restoreText } from "./test-input.ts";

function guardText(parts: Partial<PolicyGuard> = {}): string[] {
  const result = compile(inputWith([documentWith({ guards: [guardWith(parts)] })]));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return restoreText(result.manifest, 4);
}

test("the ladder is the classic one, but for its names, and doesn't count what control dials", () => {
  const classic = [
    "-m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP",
    ...[1, 2, 3, 4].map((step) => `-m recent --set --name counting${step}`),
    "-m recent --update --name counting1 --seconds 20 --hitcount 3 -j blacklist",
    "-m recent --update --name counting2 --seconds 200 --hitcount 15 -j blacklist",
    "-m recent --update --name counting3 --seconds 2000 --hitcount 80 -j blacklist",
    "-m recent --update --name counting4 --seconds 20000 --hitcount 400 -j blacklist",
  ];
  const classicBan = ["-m recent --name blacklist --set", "-j DROP"];
  const asClassic = (line: string) =>
    line
      .replace("sl:web-edge:ssh:ban", "blacklist")
      .replace(/sl:web-edge:ssh:(\d)/, "counting$1")
      .replace("SL-web-edge-g-ssh-ban", "blacklist");
  const text = guardText();
  const at = text.indexOf("[filter SL-web-edge-g-ssh]");
  expect(text[at + 1]).toBe("-m set --match-set sl-reach-4 src -j RETURN");
  expect(text.slice(at + 2, at + 11).map(asClassic)).toEqual(classic);
  expect(text.slice(-2).map(asClassic)).toEqual(classicBan);
});

test("how many addresses the kernel remembers is told once, where it is known", () => {
  const documents = [documentWith({ guards: [guardWith(), guardWith({ name: "imap", ports: ["143"] })] })];
  const warnings = (facts: Parameters<typeof factsWith>[0]) => {
    const result = compile(inputWith(documents, { facts: factsWith(facts) }));
    return result.ok ? result.warnings : [];
  };
  expect(warnings({ recentListSize: 100 })).toEqual([
    expect.stringContaining("web-edge:19: a guard remembers 100 addresses here, then forgets the oldest"),
  ]);
  expect(warnings({})).toEqual([]);
});

test("a ban that isn't renewed only looks", () => {
  expect(guardText({ ban: { forMs: 90_500, renew: false } })).toContain(
    "-m recent --rcheck --name sl:web-edge:ssh:ban --seconds 91 --hitcount 1 -j DROP",
  );
});

test("many ports are matched in as few rules as multiport can", () => {
  const ports = [...Array.from({ length: 14 }, (_, index) => String(index + 1)), "100-200", "300"];
  expect(guardText({ ports, protocol: "udp" }).filter((line) => line.includes("multiport"))).toEqual([
    "-p udp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14 -m conntrack --ctstate NEW -j SL-web-edge-g-ssh",
    "-p udp -m multiport --dports 100:200,300 -m conntrack --ctstate NEW -j SL-web-edge-g-ssh",
  ]);
});
