import type { PolicySetDocument } from "@sluice/proto/policy/document";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import { documentWith, factsWith, inputWith, set } from "./test-input.ts";

const types = [
  "hash:ip",
  "hash:net",
  "hash:ip,port",
  "hash:ip,port,net",
  "hash:net,iface",
  "hash:mac",
  "hash:ip,mark",
  "bitmap:port",
  "bitmap:ip",
  "list:set",
];

function setsOf(...sets: PolicySetDocument[]) {
  const result = compile(
    inputWith([documentWith({ policy: "p", sets })], { facts: factsWith({ setTypes: types }) }),
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.manifest.sets;
}

function entriesOf(type: string, entries: readonly string[], options: readonly string[] = []) {
  return setsOf(set("s", type, entries, options)).flatMap((one) => one.entries);
}

test("a set with a family is two, even where one is empty", () => {
  expect(setsOf(set("s", "hash:net", ["2001:db8::/32"], ["counters"]))).toMatchObject([
    {
      name: "sl-p-s-hn4",
      type: "hash:net",
      family: 4,
      options: ["counters", "maxelem", "65536"],
      entries: [],
    },
    {
      name: "sl-p-s-hn6",
      type: "hash:net",
      family: 6,
      options: ["counters", "maxelem", "65536"],
      entries: ["2001:db8::/32"],
    },
  ]);
});

test("an explicit family makes one, without the word among its options", () => {
  expect(setsOf(set("s", "hash:ip", [], ["family", "inet6", "timeout", "600"]))).toMatchObject([
    { name: "sl-p-s-hi6", family: 6, options: ["timeout", "600", "maxelem", "65536"] },
  ]);
});

test("a type without a family is one", () => {
  expect(setsOf(set("s", "bitmap:port", ["80", "22-24"], ["range", "0-1024"]))).toMatchObject([
    { name: "sl-p-s-bp", family: null, options: ["range", "0-1024"], entries: ["22", "23", "24", "80"] },
  ]);
});

test.each([
  ["hash:net", ["192.0.2.7/24", "192.0.2.1/32"], ["192.0.2.0/24", "192.0.2.1"]],
  ["hash:net", ["10.0.0.1-10.0.0.4"], ["10.0.0.1", "10.0.0.2/31", "10.0.0.4"]],
  ["hash:net", ["0.0.0.0/0", "::/0"], ["0.0.0.0/1", "128.0.0.0/1", "8000::/1", "::/1"]],
  ["hash:net", ["10.0.0.0/8 nomatch"], ["10.0.0.0/8 nomatch"]],
  ["hash:net,iface", ["0.0.0.0/0,eth0"], ["0.0.0.0/0,eth0"]],
  ["hash:ip", ["192.0.2.0/30"], ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]],
  ["hash:ip", ["192.0.2.1 timeout 60"], ["192.0.2.1 timeout 60"]],
  [
    "hash:ip,port",
    ["192.0.2.1,80", "192.0.2.1,udp:53-54"],
    ["192.0.2.1,tcp:80", "192.0.2.1,udp:53", "192.0.2.1,udp:54"],
  ],
  ["hash:ip,port,net", ["192.0.2.1,tcp:80,10.0.0.9/8"], ["192.0.2.1,tcp:80,10.0.0.0/8"]],
  ["hash:mac", ["01:02:03:aa:bb:cc"], ["01:02:03:AA:BB:CC"]],
  ["hash:ip,mark", ["192.0.2.1,99"], ["192.0.2.1,0x00000063"]],
])("%s holds %j as the kernel does", (type, written, entries) => {
  expect(entriesOf(type, written)).toEqual(entries);
});

test("a netmask folds addresses as the kernel does", () => {
  expect(entriesOf("hash:ip", ["192.0.2.7", "192.0.2.9", "192.0.3.0/24"], ["netmask", "24"])).toEqual([
    "192.0.2.0",
    "192.0.3.0",
  ]);
});

test("maxelem is twice the entries, a power of two, unless it is said", () => {
  const many = set("s", "hash:ip", ["10.0.0.0/16", "10.1.0.0/24"]);
  expect(setsOf(many)[0]?.options).toEqual(["maxelem", "262144"]);
  expect(setsOf({ ...many, options: ["maxelem", "70000"] })[0]?.options).toEqual(["maxelem", "70000"]);
});

test("a list of sets names the sets of both families, and live lists", () => {
  const sets = setsOf(set("office", "hash:net", []), set("all", "list:set", ["office", "list:blocklist"]));
  expect(sets.find(({ type }) => type === "list:set")).toMatchObject({
    name: "sl-p-all-ls",
    family: null,
    options: ["size", "8"],
    entries: ["sl-l-blocklist-4", "sl-l-blocklist-6", "sl-p-office-hn4", "sl-p-office-hn6"],
  });
});
