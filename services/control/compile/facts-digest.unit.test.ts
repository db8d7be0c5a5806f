import { expect, test } from "vitest";
import { compileKey, relevantFacts } from "./facts-digest.ts";
import { factsWith, inputWith } from "./test-input.ts";
import { webEdge } from "./web-edge-example.ts";

const key = compileKey(inputWith([webEdge()]));

test("servers that differ in nothing that compile reads share one key", () => {
  const facts = {
    ...factsWith({ qdiscs: factsWith().capabilities.qdiscs.toReversed() }, ["veth1a2b", "eth0"]),
    hostname: "other",
  };
  const elsewhere = { facts, server: { name: "server-2", labels: { site: "b" } } };
  expect(compileKey(inputWith([webEdge()], elsewhere))).toBe(key);
});

test.each([
  ["a revision", { assigned: [{ revision: 2, document: webEdge() }] }],
  ["a capability", { facts: factsWith({ filters: ["u32"] }) }],
  ["a shaped device that is missing", { facts: factsWith({}, ["eth1"]) }],
  ["having no device at all", { facts: factsWith({}, []) }],
  ["a list's families", { lists: { blocklist: { families: [4] as const } } }],
])("%s makes another key", (_, parts) => {
  expect(compileKey(inputWith([webEdge()], parts))).not.toBe(key);
});

test("a variable's value on a server makes another key", () => {
  const document = webEdge({
    vars: { uplink: { value: "eth0", servers: { "server-1": "lo" }, labels: {}, line: 3, column: 1 } },
  });
  const on = (name: string) => compileKey(inputWith([document], { server: { name, labels: {} } }));
  expect(on("server-1")).not.toBe(on("server-2"));
});

test("a document that isn't stored counts by its content", () => {
  const unstored = (description: string) =>
    compileKey(inputWith([], { assigned: [{ revision: 0, document: webEdge({ description }) }] }));
  expect(unstored("a")).not.toBe(unstored("b"));
});

test("relevant facts leave out what changes without a new manifest", () => {
  const { addresses, ...rest } = { addresses: ["192.0.2.9/24"], ...factsWith() };
  const moved = {
    ...rest,
    kernel: "6.2.0",
    devices: rest.devices.map((device) => ({ ...device, addresses, mtu: 9000 })),
  };
  expect(relevantFacts(moved)).toEqual(relevantFacts(factsWith()));
});
