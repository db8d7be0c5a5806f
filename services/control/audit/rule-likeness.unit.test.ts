import { describe, expect, test } from "vitest";
import { policyLines } from "../policies/blame-lines.ts";
import { likest, readFoundRule } from "./rule-likeness.ts";

const LINES = policyLines(`policy: door
firewall:
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p tcp --dport 22 -m set --match-set office src -j ACCEPT
      - -p tcp --dport 22 -j ssh
      - -i $uplink -s 198.51.100.7 -p tcp -m multiport --dports 80,443 -j ACCEPT
    ssh:
      - -m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP
      - -p tcp --dport 22 -j ACCEPT
`);

function found(rule: string): number[] {
  return likest(readFoundRule(rule), "door", LINES).lines.map(({ line }) => line);
}

describe("a rule is found", () => {
  test.each([
    ["as it is written", "-p tcp --dport 22 -j ssh", 7],
    ["with long options and other blanks", "--protocol tcp  --destination-port 22 --jump ssh", 7],
    [
      "as the kernel prints a state",
      "-A SL-door-INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
      5,
    ],
    ["as the kernel prints a jump", "-A SL-door-INPUT -p tcp -m tcp --dport 22 -j SL-door-ssh", 7],
    [
      "as the kernel prints a set",
      "-A SL-door-INPUT -p tcp -m tcp --dport 22 -m set --match-set sl-door-office-hn4 src -j ACCEPT",
      6,
    ],
    [
      "as the kernel prints address and device",
      "-A SL-door-INPUT -s 198.51.100.7/32 -i eth0 -p tcp -m multiport --dports 80,443 -j ACCEPT",
      8,
    ],
    [
      "as the kernel prints recent",
      "-A SL-door-ssh -m recent --update --seconds 600 --hitcount 1 --name blacklist --mask 255.255.255.255 --rsource -j DROP",
      10,
    ],
    ["in the chain that it says", "-A SL-door-ssh -p tcp -m tcp --dport 22 -j ACCEPT", 11],
  ])("%s", (_, rule, line) => {
    expect(found(rule)).toEqual([line]);
  });

  test("nowhere, where no line is much like it, or its chain is another's", () => {
    expect(found("-p udp --sport 53 -j LOG")).toEqual([]);
    expect(found("-p tcp --dport 23 -j ssh")).toEqual([]);
    expect(found("-A SL-door-INPUT -p tcp -m tcp --dport 23 -j SL-door-ssh")).toEqual([]);
    expect(found("-A SL-other-INPUT -p tcp -m tcp --dport 22 -j ACCEPT")).toEqual([]);
    expect(found("-A DOCKER -p tcp -m tcp --dport 22 -j ACCEPT")).toEqual([]);
  });
});
