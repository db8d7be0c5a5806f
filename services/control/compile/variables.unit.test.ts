import { variablesIn } from "@sluice/proto/policy/variables";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import {
  chain,
  documentWith,
  firewallOf,
  guardWith,
  inputWith,
  restoreText,
  rule,
  set,
  shapedClass,
} from "./test-input.ts";
import { fillVariables, resolveVariables } from "./variables.ts";

const uplink = {
  value: "eth0",
  servers: { "server-1": "eth1" },
  labels: { "role=web": "eth2", "a=b": "eth3" },
  line: 1,
  column: 1,
};
const resolved = (name: string, labels: Record<string, string>) =>
  resolveVariables({ uplink }, { name, labels }).get("uplink");

test("a variable is looked up by server, then by label in sorted order, then as written", () => {
  expect(resolved("server-1", { role: "web" })).toBe("eth1");
  expect(resolved("server-2", { role: "web", a: "b" })).toBe("eth3");
  expect(resolved("server-2", { role: "web" })).toBe("eth2");
  expect(resolved("server-2", { role: "db" })).toBe("eth0");
  expect(resolved("constructor", {})).toBe("eth0");
});

test("$$ is a dollar sign, and a value's own dollar is no variable", () => {
  const values = new Map([
    ["a", "$b"],
    ["b", "x"],
  ]);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how a policy writes it
  expect(fillVariables("$$a ${a}-$b $9", values)).toBe("$a $b-x $9");
});

test("variables are replaced wherever a policy may name one", () => {
  const variable = (value: string) => ({ value, servers: {}, labels: {}, line: 1, column: 1 });
  const result = compile(
    inputWith([
      documentWith({
        vars: {
          dev: variable("eth0"),
          net: variable("192.0.2.0/24"),
          host: variable("192.0.2.1"),
          port: variable("22"),
          say: variable("two words"),
        },
        sets: [set("office", "hash:net", ["$net"], ["timeout", "$port"])],
        ...firewallOf(chain("filter", "INPUT", ['-i $dev -s $net -m comment --comment "$say" -j ACCEPT'])),
        guards: [guardWith({ ports: ["$port"] })],
        shaping: [
          {
            device: "$dev",
            line: 1,
            column: 1,
            egress: {
              kind: "htb",
              line: 1,
              column: 1,
              classes: [
                shapedClass("a", 0x10, 200, {
                  match: [rule("-d $net")],
                  leaf: { kind: "pfifo", args: ["limit", "$port"] },
                }),
              ],
            },
            ingress: { kind: "single", line: 1, column: 1, qdisc: { kind: "tbf", args: ["limit", "$port"] } },
          },
        ],
        probes: [{ tcp: "$host:$port", line: 1, column: 1 }],
        protect: [{ text: "$net", line: 1, column: 1 }],
      }),
    ]),
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const { manifest } = result;
  const text = restoreText(manifest, 4);
  expect(text).toContain('-i eth0 -s 192.0.2.0/24 -m comment --comment "two words" -j ACCEPT');
  expect(text).toContain("-p tcp --dport 22 -m conntrack --ctstate NEW -j SL-web-edge-g-ssh");
  expect(text).toContain("-o eth0 -d 192.0.2.0/24 -j MARK --set-mark 16");
  expect(manifest.sets[0]).toMatchObject({
    entries: ["192.0.2.0/24"],
    options: ["timeout", "22", "maxelem", "65536"],
  });
  expect(manifest.devices).toMatchObject([
    {
      device: "eth0",
      egress: { qdiscs: [{}, { args: ["limit", "22"] }] },
      ingress: { tree: { qdiscs: [{ args: ["limit", "22"] }] } },
    },
  ]);
  expect(manifest).toMatchObject({ probes: [{ tcp: "192.0.2.1:22" }], protect: ["192.0.2.0/24"] });
  const withoutPaths = JSON.stringify(manifest, (key, value) => (key === "path" ? undefined : value));
  expect(withoutPaths.includes("$")).toBe(false);
});

test("a text full of openings that nothing closes is read in a moment", () => {
  const begun = performance.now();
  expect(variablesIn("${a".repeat(100_000))).toEqual([]);
  expect(performance.now() - begun).toBeLessThan(2_000); // it took 34 s when each one looked for its end
});
