import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { sinceImport } from "./since-import.ts";

function documentOf(text: string) {
  const parsed = parsePolicy(`policy: web\ntargets: { servers: [web-1] }\nmode: imported\n${text}`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.document;
}

const SAID = `
sets: { office: { type: hash:net, entries: [192.0.2.0/24, 198.51.100.7] } }
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -p tcp -m tcp --dport 22 -j ACCEPT
      - { rule: -p udp -j web, family: ipv4 }
    web: [-j DROP]
shaping:
  eth0:
    classes:
      class-10: { id: 10, rate: 1mbit, filters: protocol ip prio 1 handle 80 fw, leaf: { kind: sfq, handle: 8001 } }
      class-20: { id: 20, rate: 2mbit, leaf: { kind: prio, classes: { a: {}, b: {} } } }
`;
const since = (now: string, left: { what: string; why: string }[] = []) =>
  sinceImport(documentOf(SAID), documentOf(now), left);

test("a server that is as it was imported has nothing to tell, whatever classes are called", () => {
  expect(since(SAID)).toEqual([]);
  expect(since(SAID.replace("class-10", "web").replace("class-20", "rest"))).toEqual([]);
});

test("rules, entries, ends of hooks and numbers of classes that differ are told one by one", () => {
  const now = SAID.replace("--dport 22 -j", "--dport 2222 -j")
    .replace("198.51.100.7", "198.51.100.8")
    .replace("default: { INPUT: drop }", "accept: final")
    .replace("rate: 1mbit", "rate: 3mbit")
    .replace("handle 80 fw", "handle 81 fw");
  expect(since(now)).toEqual([
    "filter/INPUT at its end: drop doesn't stand there any more",
    "filter/INPUT: -p tcp -m tcp --dport 22 -j ACCEPT doesn't stand there any more",
    "filter/INPUT: -p tcp -m tcp --dport 2222 -j ACCEPT stands there, and the policy doesn't say it",
    "set office: 198.51.100.7 doesn't stand there any more",
    "set office: 198.51.100.8 stands there, and the policy doesn't say it",
    "class 10 of the qdisc of eth0: rateBitPerSec 1000000 doesn't stand there any more",
    "class 10 of the qdisc of eth0: ceilBitPerSec 1000000 doesn't stand there any more",
    "class 10 of the qdisc of eth0: rateBitPerSec 3000000 stands there, and the policy doesn't say it",
    "class 10 of the qdisc of eth0: ceilBitPerSec 3000000 stands there, and the policy doesn't say it",
    'class 10 of the qdisc of eth0: filters "protocol ip prio 1 handle 80 fw" doesn\'t stand there any more',
    'class 10 of the qdisc of eth0: filters "protocol ip prio 1 handle 81 fw" stands there, and the policy doesn\'t say it',
  ]);
});

test("where rules of others stand by now is told", () => {
  expect(since(SAID.replace("INPUT:\n      - -p tcp", "INPUT:\n      - others\n      - -p tcp"))).toEqual([
    "filter/INPUT: others stands there, and the policy doesn't say it",
  ]);
});

test("what is left by now is told once, with the reason", () => {
  const left = [
    { what: "filter/INPUT", why: "fail2ban keeps rules of its own there" },
    { what: "qdisc of eth0", why: "its text can't be trusted" },
  ];
  expect(since("sets: { office: { type: hash:net, entries: [192.0.2.0/24, 198.51.100.7] } }", left)).toEqual([
    "filter/INPUT can't be imported any more: fail2ban keeps rules of its own there",
    "qdisc of eth0 can't be imported any more: its text can't be trusted",
  ]);
});

test("many differences end in their number", () => {
  const rules = Array.from({ length: 30 }, (_, port) => `-p tcp --dport ${port + 1} -j ACCEPT`);
  const told = since(SAID.replace("web: [-j DROP]", `web: [${rules.join(", ")}]`));
  expect(told).toHaveLength(21);
  expect(told.at(-1)).toBe("and 11 more");
});
