import type { Script } from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type NumberedStream, startNumberedStream } from "./numbered-stream.ts";

/**
 * One TCP stream of numbered lines through everything that is changed: a set and chains that it is looked up in, the class
 * that it is sent through. Whoever reads it counts along.
 */
const CHANGES = 10_000;
const PORT = 9000;
const PATIENCE_MS = 600_000;

let server: RehearsalNamespace;
let client: RehearsalNamespace;
let stream: NumberedStream | undefined;
const ipset = createIpsetDriver();
const tc = createTcDriver();
const backends = (["nft", "legacy"] as const).map((backend) => ({
  backend,
  driver: createIptablesDriver({ backend }),
}));

beforeEach(async () => {
  [server, client] = await Promise.all([openRehearsal(), openRehearsal()]);
  await run(server, `ip link add eth0 type veth peer name eth0 netns ${client.pid}`);
  await run(server, "ip address add 10.99.0.1/24 dev eth0");
  await run(client, "ip address add 10.99.0.2/24 dev eth0");
  for (const at of [server, client]) await run(at, "ip link set eth0 up");
});
afterEach(async () => {
  await stream?.stop();
  await Promise.all([ipset, tc, ...backends.map(({ driver }) => driver)].map((one) => one.close(server)));
  await Promise.all([server.close(), client.close()]);
});

async function run(at: Namespace, line: string, input?: string): Promise<string> {
  const [command = "", ...args] = line.split(" ");
  const { code, stdout, stderr } = await at.run(command, args, { input });
  if (code !== 0) throw new Error(`${line}: ${stderr}`);
  return stdout;
}

/** Chains as both backends have them: one that is rewritten, one that is never named again. */
async function buildRules(): Promise<void> {
  await run(
    server,
    "ipset restore",
    "create sl-busy hash:ip timeout 0\ncreate sl-calm hash:ip counters\nadd sl-calm 10.99.0.2\n",
  );
  for (const { driver } of backends)
    await driver.write(
      server,
      script(
        ":SL-busy - [0:0]\n:SL-calm - [0:0]\n-A SL-calm -m set --match-set sl-calm src -j RETURN\n-I INPUT 1 -j SL-calm\n-I INPUT 2 -j SL-busy\n",
      ),
    );
  const batch = [
    "qdisc add dev eth0 root handle 1: htb default 10 direct_qlen 1000",
    "class add dev eth0 parent 1: classid 1:1 htb rate 2gbit",
    "class add dev eth0 parent 1:1 classid 1:10 htb rate 1gbit quantum 1514",
    "qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 1000",
  ];
  await run(server, "tc -batch -", `${batch.join("\n")}\n`);
}

function script(lines: string): Script {
  return { driver: "iptables", what: "rules", tool: "iptables-restore", text: `*filter\n${lines}COMMIT\n` };
}

/** What nobody touches: each must only ever grow. */
async function counters(): Promise<number[]> {
  const rules = await Promise.all(
    backends.map(({ backend }) => run(server, `iptables-${backend} -w 20 -nvxL SL-calm`)),
  );
  const set = await run(server, "ipset list sl-calm");
  const classes = await run(server, "tc -s class show dev eth0 classid 1:10");
  return [
    ...rules.map((text) => Number(/^\s*(\d+)\s+\d+ RETURN/m.exec(text)?.[1])),
    Number(/packets (\d+)/.exec(set)?.[1]),
    Number(/Sent (\d+) bytes/.exec(classes)?.[1]),
  ];
}

/** The nth change: mostly members of a set, then rules of each backend, then the class and its leaf. */
async function change(n: number): Promise<void> {
  if (n % 10 < 7) {
    const address = `192.0.2.${n % 250}`;
    const isThere = Math.floor(n / 250) % 2 === 1;
    const text = `${isThere ? "del" : "add"} -exist sl-busy ${address}\n`;
    await ipset.write(server, { driver: "ipset", what: "a member", tool: "ipset", text });
  } else if (n % 10 < 9) {
    const { driver } = backends[n % 2] ?? backends[0] ?? { driver: undefined };
    const rules = Array.from({ length: n % 3 }, (_, index) => `-A SL-busy -s 192.0.2.${index} -j DROP\n`);
    await driver?.write(server, script(`:SL-busy - [0:0]\n${rules.join("")}`));
  } else {
    const text =
      n % 20 === 9
        ? `class change dev eth0 parent 1:1 classid 1:10 htb rate ${900 + (n % 7)}mbit quantum 1514\n`
        : `qdisc change dev eth0 parent 1:10 handle 10: pfifo limit ${1000 + (n % 7)}\n`;
    await tc.write(server, { driver: "tc", what: "shaping", tool: "tc", text });
  }
}

test(
  `${CHANGES} changes under a TCP stream: it goes on, no line of it is lost, and what isn't changed counts on`,
  async () => {
    await buildRules();
    stream = await startNumberedStream({ server, client, address: "10.99.0.1", port: PORT });
    const { last, lost, ended } = stream;
    await waitUntil("the stream to flow", PATIENCE_MS, () => last() > 0);
    let before = await counters();
    const seen = last();
    for (let n = 1; n <= CHANGES; n++) {
      await change(n);
      if (n % 1000 !== 0) continue;
      const now = await counters();
      expect(now.filter((count, index) => count >= (before[index] ?? Number.NaN))).toEqual(now);
      before = now;
      expect([lost(), ended()]).toEqual([undefined, false]);
    }
    const after = last();
    expect(after).toBeGreaterThan(seen);
    await waitUntil("the stream to flow on", PATIENCE_MS, () => last() > after);
    expect(lost()).toBeUndefined();
    console.log(`${last()} lines arrived in order under ${CHANGES} changes`);
  },
  PATIENCE_MS,
);
