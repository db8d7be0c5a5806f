import type { PolicyRule } from "@sluice/proto/policy/document";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import { expect, test } from "vitest";
import { createReporter, type Findings } from "./findings.ts";
import { compileRule, type RuleScope } from "./rule.ts";
import { rule } from "./test-input.ts";

function compileText(written: string | PolicyRule) {
  const findings: Findings = { problems: [], warnings: [] };
  const scope: RuleScope = {
    table: "filter",
    report: createReporter(findings, "web-edge", 1),
    chains: {
      own: new Map([["filter", new Set(["ssh"])]]),
      external: new Map([["filter", new Set(["DOCKER-USER"])]]),
    },
    findSet: (name) =>
      name === "office"
        ? { kernelName: (family) => `sl-office-${family}`, families: [4, 6], writable: true }
        : name === "only6"
          ? { kernelName: () => "sl-only6", families: [6], writable: true }
          : undefined,
    knownSets: () => ["office", "only6"],
    recentMaxHits: 65_535,
  };
  const compiled = compileRule(typeof written === "string" ? rule(written) : written, "path", scope);
  return {
    ...compiled,
    problems: findings.problems,
    text: (family: 4 | 6) => quoteWords(compiled.words(family)),
  };
}

test.each<[string, (4 | 6)[]]>([
  ["-p tcp --dport 22 -j ACCEPT", [4, 6]],
  ["-p constructor -j DROP", [4, 6]],
  ["-m constructor -j DROP", [4, 6]],
  ["-s 192.0.2.1 -j DROP", [4]],
  ["-s 10/8 -j DROP", [4]],
  ["! -s 192.0.2.0/24 -j DROP", [4]],
  ["--source 192.0.2.1,192.0.2.9 -j DROP", [4]],
  ["-d 2001:db8::/32 -j DROP", [6]],
  ["-d ::/0 -j DROP", [6]],
  ["-p icmp -j ACCEPT", [4]],
  ["-p icmp --icmp-type echo-request -j ACCEPT", [4]],
  ["-p ipv6-icmp -j ACCEPT", [6]],
  ["-p 58 -j ACCEPT", [6]],
  ["! -p icmp -j ACCEPT", [4, 6]],
  ["-m icmp6 --icmpv6-type 128 -j ACCEPT", [6]],
  ["-j REJECT --reject-with icmp6-adm-prohibited", [6]],
  ["-j REJECT --reject-with icmp-host-unreachable", [4]],
  ["-p tcp -j REJECT --reject-with tcp-reset", [4, 6]],
  ["-p tcp -j DNAT --to-destination 10.0.0.1:80", [4]],
  ["-p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9:80", [4]],
  ["-p tcp -j DNAT --to-destination [fd00::1]:80", [6]],
  ["-p tcp -j DNAT --to-destination fd00::1", [6]],
  ["-p tcp -j DNAT --to-destination :8080", [4, 6]],
  ["-j SNAT --to-source 192.0.2.1", [4]],
  ["-d 192.0.2.0/24 -j NETMAP --to 10.0.0.0/24", [4]],
  ["-p tcp -j REDIRECT --to-ports 8080", [4, 6]],
  ["-j MASQUERADE", [4, 6]],
  ["-m iprange --src-range 192.0.2.1-192.0.2.9 -j DROP", [4]],
  ["-m iprange --dst-range 2001:db8::1-2001:db8::9 -j DROP", [6]],
  ["-m string --string GET --algo bm --to 100 -j DROP", [4, 6]],
  ["-m ttl --ttl-lt 5 -j DROP", [4]],
  ["-m hl --hl-lt 5 -j DROP", [6]],
  ["-p tcp -m osf --genre Linux -j DROP", [4]],
  ["-m srh --srh-next-hdr 17 -j DROP", [6]],
  ["-m recent --set --mask 255.255.255.0 -j DROP", [4]],
  ["-m recent --set --mask ffff:ffff:: -j DROP", [6]],
  ["-m addrtype --dst-type LOCAL,MULTICAST -j DROP", [4, 6]],
  ["-m addrtype ! --dst-type MULTICAST,BROADCAST -j DROP", [4]],
  ["-f -j DROP", [4]],
  ["-m set --match-set only6 src -j DROP", [6]],
  ["-m set --match-set office src -j DROP", [4, 6]],
  ['-m comment --comment "-s 192.0.2.1" -j ACCEPT', [4, 6]],
])("%s goes to IPv%j", (text, families) => {
  const { families: found, problems } = compileText(text);
  expect({ found, problems }).toEqual({ found: families, problems: [] });
});

test("only names are rewritten, every other word passes unharmed", () => {
  const words = [
    "-p tcp -m multiport --dports 80,443 -m set --match-set office src -m comment --comment",
    '"say \\"office\\" to -j ssh" -m recent --name ssh --set -j ssh',
  ].join(" ");
  const { text, next } = compileText(words);
  expect(text(6)).toBe(
    words
      .replace("--match-set office", "--match-set sl-office-6")
      .replace("-j ssh$", "")
      .replace(/-j ssh$/, "-j SL-web-edge-ssh"),
  );
  expect(next).toEqual({ chain: "ssh", goto: false });
});

test("a set that rules may write to keeps its name per family there too", () => {
  expect(compileText("-j SET --add-set office src --exist").text(4)).toBe(
    "-j SET --add-set sl-office-4 src --exist",
  );
});

test.each([
  ["-j DROP", true],
  ["-j NFQUEUE --queue-num 1", true],
  ["-j DOCKER-USER", true],
  ["-j ACCEPT", false],
  ["-j MARK --set-mark 1", false],
  ["-j ssh", false],
])("%s can end a packet by itself: %s", (text, drops) => {
  expect(compileText(text).drops).toBe(drops);
});

test("hashlimit's name carries its parameters, so that another rate is another table", () => {
  const nameFor = (options: string) =>
    /--hashlimit-name (\S+)/.exec(compileText(`-m hashlimit ${options} -j DROP`).text(4))?.[1] ?? "";
  const name = nameFor("--hashlimit-above 5/sec --hashlimit-mode srcip --hashlimit-name web");
  expect(name).toMatch(/^web-[0-9a-f]{6}$/);
  expect(nameFor("--hashlimit-name web --hashlimit-above 5/sec --hashlimit-mode srcip")).toBe(name);
  expect(nameFor("--hashlimit-above 6/sec --hashlimit-mode srcip --hashlimit-name web")).not.toBe(name);
  const long = nameFor("--hashlimit-above 5/sec --hashlimit-name connections");
  expect(long).toMatch(/^connecti-[0-9a-f]{6}$/);
  expect(nameFor("--hashlimit-above 5/sec --hashlimit-name connectivity")).not.toBe(long);
});
