import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execIn } from "../../net/namespace.ts";
import { knock } from "../knock.ts";
import type { Stage } from "../stage.ts";

const CUT_OFF = `policy: proxy
description: Sends everything for NATS to a proxy that isn't there
targets: { servers: ["*"] }
deadline: 10s
firewall:
  nat:
    OUTPUT:
      - -p tcp --dport 4222 -j DNAT --to-destination 192.0.2.99:4222
reach: [tcp/22]
`;

const SHUT = `policy: quiet
description: Forgets that ssh is how we get in
targets: { servers: ["*"] }
order: 5
deadline: 10s
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -j DROP
reach: [tcp/22]
`;

/** Two policies that would mean a drive to the data centre: each undoes itself, and the rollout halts. */
export async function lockOut({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("Shutting oneself out, twice");
  const mistakes = [
    { name: "proxy", text: CUT_OFF, what: "cuts the server off from control" },
    { name: "quiet", text: SHUT, what: "shuts ssh from outside" },
  ];
  for (const { name, text, what } of mistakes) {
    narrator.note(`a policy that ${what}:`);
    const file = join(lab.folder, `${name}.yaml`);
    await writeFile(file, text);
    const before = await rules(lab);
    await narrator.sluice("policy", "apply", "-f", file, "--reason", "looked harmless");
    const rollout = await narrator.sluice(
      "rollout",
      "start",
      name,
      "--waves",
      "1,100%",
      "--reason",
      "looked harmless",
    );
    narrator.claim(`${name}: the rollout halted`, rollout.code === 3, `exit ${rollout.code}`);
    narrator.claim(
      `${name}: server-1 undid it by itself`,
      rollout.out.includes("server-1 reverted"),
      "reverted",
    );
    const after = await rules(lab);
    narrator.claim(
      `${name}: every server's rules are as they were`,
      after === before,
      after === before ? "identical" : "different",
    );
    await knock(lab, narrator, {
      host: lab.fabric.host("server-1"),
      port: 22,
      expect: "accepted",
      why: "we are still in",
    });
  }
}

/** All rules of all servers, both families, without counters. A table that came to be, and is empty, holds nothing. */
async function rules(lab: Stage["lab"]): Promise<string> {
  const texts = await Promise.all(
    lab.fabric.servers.flatMap(({ namespace }) =>
      ["iptables-save", "ip6tables-save"].map((command) => execIn(namespace, command, [])),
    ),
  );
  return texts
    .join("")
    .replace(/^#.*\n/gm, "")
    .replace(/\[\d+:\d+\]/g, "")
    .replace(EMPTY_TABLE, "");
}

const EMPTY_TABLE = /^\*\w+\n(?::[A-Z]+ ACCEPT \n)*COMMIT\n/gm;
