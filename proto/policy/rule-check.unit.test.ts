import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith, policyWithRule } from "./test-policy.ts";

function ruleOf(text: string) {
  const result = parsePolicy(policyWithRule(text));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.document.firewall.chains.find(({ name }) => name === "INPUT")?.rules[0];
}

describe("a rule that is more or less than one rule is refused at the word", () => {
  test.each([
    ["‸-A INPUT -j DROP", "-A has no place in a rule"],
    ["-p tcp ‸-I INPUT", "-I has no place in a rule"],
    ["‸-D INPUT 1", "-D has no place in a rule"],
    ["‸-R INPUT 1", "-R has no place in a rule"],
    ["‸-N x", "-N has no place in a rule"],
    ["‸--new x", "--new has no place in a rule"],
    ["‸--new -j CLUSTERIP", "--new has no place in a rule"],
    ["-m comment --comment -j -j DROP ‸--new x", "--new has no place in a rule"],
    ["‸-X x", "-X has no place in a rule"],
    ["‸-P INPUT DROP", "-P has no place in a rule"],
    ["‸-F", "-F has no place in a rule"],
    ["‸-L", "-L has no place in a rule"],
    ["‸-S", "-S has no place in a rule"],
    ["‸-Z", "-Z has no place in a rule"],
    ["‸-E a b", "-E has no place in a rule"],
    ["‸-C INPUT", "-C has no place in a rule"],
    ["‸-c 1 2", "-c has no place in a rule"],
    ["‸-w -j DROP", "-w has no place in a rule"],
    ["‸-t nat -j DROP", "-t has no place in a rule"],
    ["‸-tnat -j DROP", "-tnat has no place in a rule"],
    ["'‸\"-t\" nat -j DROP'", "-t has no place in a rule"],
    ["‸--table nat -j DROP", "--table has no place in a rule"],
    ["‸--table=nat -j DROP", "--table has no place in a rule"],
    ["‸--tab nat -j DROP", "--tab has no place in a rule"],
    ["‸--append INPUT", "--append has no place in a rule"],
    ["‸--modprobe=/bin/sh -j DROP", "--modprobe has no place in a rule"],
    ["‸--modp /bin/sh -j DROP", "--modp has no place in a rule"],
    ["‸-M /bin/sh -j DROP", "-M has no place in a rule"],
    ["‸-fM/bin/sh -j DROP", "-fM/bin/sh has no place in a rule"],
    ["‸-4M/bin/sh -j DROP", "-4M/bin/sh has no place in a rule"],
    ["‸-46jDROP", "-46jDROP has no place in a rule"],
    ["‸-46 -j DROP", "-46 has no place in a rule"],
    ["-m recent --name --comment ‸--modprobe=/bin/sh -j DROP", "--modprobe has no place in a rule"],
    ["-m recent --set --name --comment -j ‸other", "no chain 'other' in table filter of this policy"],
    ["-j LOG --log-prefix --comment --log-uid --comment ‸-tnat", "-tnat has no place in a rule"],
    ["‸--set-counters 1 2", "--set-counters has no place in a rule"],
    ["‸--jum ACCEPT", "--jum is a shortened option"],
    ["‸--match-s office src", "--match-s is a shortened option"],
    ["‸-$uplink x", "an option can't come from a variable"],
    ["‸--$uplink=x", "an option can't come from a variable"],
    ['‸""', "an empty rule"],
    ["‸'  '", "an empty rule"],
    ['‸"-p tcp\\n-j DROP"', "a rule is one line"],
    ["-m comment --comment ‸\"it's", "a \" that isn't closed"],
    ["-m comment --comment it‸'s", "a ' that isn't closed"],
    ['-m comment --comment ‸"a #b" -j DROP', "a \" that isn't closed"],
    ["‸[ -p ]", "this isn't a rule"],
    ["{ rule: -p tcp, ‸famly: ipv4 }", "unknown field famly; did you mean family?"],
    ["{ rule: -p tcp, family: ‸ipv5 }", "bad value for family"],
    ["‸{ family: ipv4 }", "rule is missing"],
    ["‸-j LOG --log-prefix IN: x", "YAML read this rule as a map, because of its `: `"],
  ])("%s", (rule, message) => {
    expectRefusal(policyWithRule(rule), message);
  });

  test("a dash with nothing after it", () => {
    expectRefusal(policyWith("firewall:\n  filter:\n    INPUT:\n      -‸\n"), "an empty rule");
  });

  test("a NUL", () => {
    expectRefusal(policyWithRule('‸"-p tcp\\0"'), "a control character in a rule");
  });

  test("more than iptables-restore can read", () => {
    expectRefusal(
      policyWithRule(`-m comment --comment ‸${"x".repeat(1001)}`),
      "iptables can't read a rule as long as this",
    );
    expectRefusal(
      policyWithRule(`‸-j DROP ${"-m tcp ".repeat(120)}`),
      "iptables can't read a rule as long as this",
    );
  });
});

test.each([
  "-j LOG --log-prefix -- --log-uid",
  "-m comment --comment -A -j DROP",
  "-m comment --comment --jump -j LOG --log-prefix -x",
  "-m statistic --mode random --probability -0.5 -j DROP",
])("a text is a text, whatever it looks like: %s", (text) => {
  expect(ruleOf(text)?.text).toBe(text);
});

test("an option of a target is one after the target's name, whatever it is short for elsewhere", () => {
  const text = "-d 192.0.2.7 -j CLUSTERIP --new --hashmode sourceip --total-nodes 2 --local-node 1";
  expect(ruleOf(text)?.text).toBe(text);
});

describe("addresses are checked where they stand", () => {
  test.each([
    ["-s ‸300.1.1.1 -j DROP", "300.1.1.1 is no address"],
    ["-s ‸192.0.2.1/33", "the prefix of 192.0.2.1/33 is out of range"],
    ["--source ‸192.0.2.1/x", "192.0.2.1/x is no address"],
    ["-d ‸example.com", "example.com is a name, which may resolve differently over time"],
    ["--dst=‸example", "example is a name, which may resolve differently over time"],
    ["-s 192.0.2.1,‸192.0.2.256", "192.0.2.256 is no address"],
    ["-s ‸192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9 is a range"],
    ["‸-s ! 192.0.2.1", "-s has no address"],
    ["-j DROP ‸-s", "-s has no address"],
    ["-s 192.0.2.1,‸2001:db8::1", "this rule is IPv4 by 192.0.2.1 and IPv6 by 2001:db8::1"],
    ["-s 192.0.2.1 -d ‸2001:db8::1", "this rule is IPv4 by 192.0.2.1 and IPv6 by 2001:db8::1"],
    ["{ rule: -s ‸192.0.2.1, family: ipv6 }", "this rule is IPv6 by family and IPv4 by 192.0.2.1"],
    ["-4 -s ‸2001:db8::1", "this rule is IPv4 by -4 and IPv6 by 2001:db8::1"],
    ["-s ‸$uplink", "eth0 is a name, which may resolve differently over time"],
    ["-s ‸::ffff:192.0.2.1 -j DROP", "::ffff:192.0.2.1 is an IPv4 address written as IPv6"],
  ])("%s", (rule, message) => {
    expectRefusal(policyWithRule(rule), message);
  });

  test.each([
    "-s 192.0.2.0/24 -j DROP",
    "-s 10/8 -j DROP",
    "-s 192.0.2.0/255.255.255.0 -j DROP",
    "-s 192.0.0.1/255.0.0.255 -j DROP",
    "'! -s 192.0.2.1,192.0.2.2 -j DROP'",
    "-s 2001:db8::/32 ! -d 2001:db8::1 -j DROP",
    "-s $admin -j DROP",
    "-s ::ffff:0:0/96 -j DROP",
    "-m iprange --src-range 192.0.2.1-192.0.2.9 -j DROP",
  ])("%s passes", (rule) => {
    expect(ruleOf(rule)).toBeDefined();
  });
});

describe("what a rule names must be there", () => {
  test.each([
    ["-j ‸nochain", "no chain 'nochain' in table filter of this policy"],
    ["-j ‸shs", "no chain 'shs' in table filter of this policy; did you mean ssh?"],
    ["--goto ‸nochain", "no chain 'nochain' in table filter of this policy"],
    ["-j ‸snat", "no chain 'snat' in table filter of this policy; it is one of table nat"],
    ["-j ‸SL-edge-ssh", "no chain 'SL-edge-ssh' in table filter of this policy"],
    ["-g ‸ACCEPT", "ACCEPT is a target, and a goto leads to a chain"],
    ["-j ‸INPUT", "a rule can't go to the built-in chain INPUT"],
    ["-j ‸$admin", "a target can't come from a variable"],
    ["-m set --match-set ‸offic src -j DROP", "undefined set offic; did you mean office?"],
    ["-j SET --add-set ‸bans src", "undefined set bans"],
    ["-j SET --del-set ‸list:bans src", "a rule can't change the list bans"],
    ["-m set --match-set ‸list:Bans src", "this can't be a list's name"],
    ["-m set --match-set ‸$admin src", "a set can't come from a variable"],
    ["-m set ‸--set office src", "--set of the set match is out of use"],
    ["-o ‸$uplik -j DROP", "undefined variable $uplik; did you mean uplink?"],
    ["-m comment --comment 'for ‸$nobody'", "undefined variable $nobody"],
  ])("%s", (rule, message) => {
    expectRefusal(policyWithRule(rule), message);
  });

  test.each([
    "-j ssh",
    "-g ssh",
    "-j DOCKER-USER",
    "-j LOG --log-level 4",
    "-j SOMETHINGNEW --with 1",
    "-m set --match-set office src -j DROP",
    "-m set ! --match-set f2b-sshd src,dst -j DROP",
    "-m set --match-set list:blocklist src -j DROP",
    "-j SET --add-set office src --exist",
    "-m recent --set --name knock -j DROP",
    "-m policy --pol ipsec --dir in -j ACCEPT",
  ])("%s passes", (rule) => {
    expect(ruleOf(rule)).toBeDefined();
  });
});

describe("everything else passes unharmed", () => {
  test.each([
    [
      `'-m comment --comment "two  words" -j LOG --log-prefix "IN: "'`,
      ["-m", "comment", "--comment", "two  words", "-j", "LOG", "--log-prefix", "IN: "],
    ],
    ["-m comment --comment -A -j DROP", ["-m", "comment", "--comment", "-A", "-j", "DROP"]],
    ["-j LOG --log-prefix --table", ["-j", "LOG", "--log-prefix", "--table"]],
    ["-m string --algo bm --string --modprobe", ["-m", "string", "--algo", "bm", "--string", "--modprobe"]],
    ["-m u32 --u32 '0>>22&0x3C@12>>26&0x3C@0=0x1'", ["-m", "u32", "--u32", "0>>22&0x3C@12>>26&0x3C@0=0x1"]],
    ["-ptcp -s192.0.2.1 -jDROP", ["-p", "tcp", "-s", "192.0.2.1", "-j", "DROP"]],
    ["--protocol=tcp --dport=22 --jump=ssh", ["--protocol", "tcp", "--dport", "22", "--jump", "ssh"]],
    ["-o $uplink -j DROP", ["-o", "$uplink", "-j", "DROP"]],
    [">-\n        -p tcp\n        -j DROP", ["-p", "tcp", "-j", "DROP"]],
    ["-m tos --tos -1 -j DROP", ["-m", "tos", "--tos", "-1", "-j", "DROP"]],
  ])("%s", (rule, words) => {
    expect(ruleOf(rule)).toMatchObject({ words });
    expect(ruleOf(rule)).not.toHaveProperty("family");
  });

  test.each([
    ["-4 -p icmp -j ACCEPT", 4, ["-p", "icmp", "-j", "ACCEPT"]],
    ["--ipv6 -j ACCEPT", 6, ["-j", "ACCEPT"]],
    ["{ rule: -j ACCEPT, family: ipv6 }", 6, ["-j", "ACCEPT"]],
  ])("%s is of one family, and only that is taken out", (rule, family, words) => {
    expect(ruleOf(rule)).toMatchObject({ family, words });
  });

  test("a rule knows its place", () => {
    expect(ruleOf("-j DROP")).toMatchObject({ text: "-j DROP", line: 11, column: 9 });
  });
});
