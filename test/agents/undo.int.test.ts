import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import type { Target } from "@sluice/agents/drivers/driver";
import { iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { processIdOf, uptimeMs } from "@sluice/agents/state/process-id";
import { renderUndo } from "@sluice/agents/undo/render-undo";
import { createRunner } from "@sluice/agents/undo/runner";
import { undoFolder } from "@sluice/agents/undo/undo-folder";
import { commandIn } from "@sluice/infra/net/namespace";
import { runCommand, tryCommand } from "@sluice/infra/process/run-command";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestServer, type TestServer } from "./server.ts";

/**
 * The undo runner on a real kernel: `undo.sh`, what is rendered for it, and its folder. What the change wrote is written
 * here by hand, also by halves, because the drivers would never stop there.
 */
const SCRIPT = readFileSync(new URL("../../agents/undo/undo.sh", import.meta.url), "utf8");
const EMPTY: Target = { sets: [], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };

const set = (name: string, entries: string[]) =>
  ({ name, type: "hash:net", family: 4, options: [], entries, use: "policy" }) as const;
const chain = (name: string, ...rules: string[]) =>
  ([4, 6] as const).map((family) => ({
    family,
    table: "filter" as const,
    name,
    rules: rules.map((args) => ({ args })),
  }));
const hook = (at: "head" | "tail", name: string) =>
  ([4, 6] as const).map((family) => ({
    family,
    table: "filter" as const,
    hook: "INPUT" as const,
    chain: name,
    at,
  }));
const tree = (rate: string) => ({
  qdiscs: [{ parent: "root", handle: "1:", kind: "htb", args: ["default", "20", "r2q", "10"] }],
  classes: [
    { parent: "1:", classid: "1:20", kind: "htb", args: ["rate", rate, "burst", "15k", "cburst", "15k"] },
  ],
  filters: [],
});

const BEFORE: Target = {
  ...EMPTY,
  sets: [set("sl-a", ["192.0.2.1"]), set("sl-old", ["192.0.2.2"])],
  chains: [
    ...chain("SL-INPUT", "-p tcp -m tcp --dport 22 -j SL-x", "-j ACCEPT"),
    ...chain("SL-x", "-j RETURN"),
  ],
  hooks: hook("head", "SL-INPUT"),
  devices: [{ device: "eth0", egress: tree("1mbit") }],
};
const AFTER: Target = {
  ...EMPTY,
  sets: [set("sl-a", ["192.0.2.9", "198.51.100.0/24"]), set("sl-new", [])],
  chains: [
    ...chain("SL-INPUT", "-j SL-y", "-j DROP"),
    ...chain("SL-y", "-j SL-INPUT-end"),
    ...chain("SL-INPUT-end", "-j DROP"),
  ],
  hooks: [...hook("head", "SL-INPUT"), ...hook("tail", "SL-INPUT-end")],
  devices: [{ device: "eth0", egress: tree("5mbit") }],
};

const FOREIGN =
  "iptables -N f2b; iptables -A INPUT -p icmp -j f2b; ip6tables -A INPUT -p udp -j ACCEPT; ipset create other hash:ip; ipset add other 203.0.113.1";
const WRITE_BEFORE = [
  "ipset create sl-a hash:net family inet; ipset add sl-a 192.0.2.1",
  "ipset create sl-old hash:net family inet; ipset add sl-old 192.0.2.2",
  "for t in iptables ip6tables; do $t -N SL-x; $t -A SL-x -j RETURN; $t -N SL-INPUT; $t -A SL-INPUT -p tcp --dport 22 -j SL-x; $t -A SL-INPUT -j ACCEPT; $t -I INPUT 1 -j SL-INPUT; done",
  "tc qdisc add dev eth0 root handle 1: htb default 20 r2q 10; tc class add dev eth0 parent 1: classid 1:20 htb rate 1mbit burst 15k cburst 15k",
].join(";");
/** one by one: the change may have been cut off after any of them */
const CHANGES = [
  "ipset create sl-tmp-0123 hash:net; ipset add sl-tmp-0123 192.0.2.9; ipset swap sl-tmp-0123 sl-a; ipset destroy sl-tmp-0123; ipset create sl-new hash:net",
  "iptables -N SL-y; iptables -N SL-INPUT-end; iptables -A SL-INPUT-end -j DROP; iptables -A SL-y -j SL-INPUT-end; iptables -F SL-INPUT; iptables -A SL-INPUT -j SL-y; iptables -A INPUT -j SL-INPUT-end",
  "ip6tables -N SL-y; ip6tables -F SL-INPUT; ip6tables -F SL-x; ip6tables -X SL-x; ip6tables -D INPUT -j SL-INPUT",
  "tc class change dev eth0 parent 1: classid 1:20 htb rate 5mbit burst 15k cburst 15k",
];
const TC_BUILD = [
  {
    driver: "tc" as const,
    what: "",
    tool: "tc",
    text: "qdisc add dev eth0 root handle 1: htb default 20 r2q 10\nclass add dev eth0 parent 1: classid 1:20 htb rate 1mbit burst 15k cburst 15k\n",
  },
];

let server: TestServer;
let children: ChildProcess[] = [];

beforeEach(async () => {
  server = await createTestServer();
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  await server.remove();
});

async function prepare(previous: Target, next: Target, path = `${server.folder}/undo`) {
  const folder = undoFolder(path);
  const agent = processIdOf(process.pid);
  if (agent === undefined) throw new Error("no /proc");
  const files = renderUndo({
    handover: { taking: [], givingBack: [] },
    previous,
    next,
    tcBuild: () => TC_BUILD,
    tool: (family, verb) => iptablesTool("nft", family, verb),
  });
  await folder.prepare(SCRIPT, files, {}, { ...agent, mark: "none" });
  const runner = createRunner({ folder, prefix: commandIn(server.namespace, []), env: server.env });
  return { folder, runner, files, agent };
}

describe("a change is undone from wherever it stopped", () => {
  test.each([0, 1, 2, 3, 4])(
    "after %i of its steps, the server holds what it held, and foreign things stay",
    async (steps) => {
      await server.sh(`${FOREIGN}; ${WRITE_BEFORE}`);
      const before = await server.dump();
      const { runner, folder } = await prepare(BEFORE, AFTER);
      await runner.start();
      for (const change of CHANGES.slice(0, steps)) await server.sh(change);
      expect(await runner.revert()).toBe("reverted");
      expect(await server.dump()).toBe(before);
      await runner.ended();
      expect(folder.runner()).toBeUndefined();
    },
  );

  test("on a server that held nothing, nothing of ours is left", async () => {
    await server.sh(FOREIGN);
    const before = await server.dump();
    const { runner } = await prepare(EMPTY, AFTER);
    await runner.start();
    await server.sh(
      `${WRITE_BEFORE.replaceAll("sl-old", "sl-new")}; iptables -N SL-y; iptables -F SL-x; ip6tables -F SL-x`,
    );
    await server.sh(
      "for t in iptables ip6tables; do $t -F SL-INPUT; $t -X SL-x; $t -A SL-INPUT -j DROP; done",
    );
    expect(await runner.revert()).toBe("reverted");
    expect(await server.dump()).toBe(before);
  });

  test("what is the same in both keeps its counters", async () => {
    await server.sh(`${WRITE_BEFORE}; ping -c 1 -W 1 192.0.2.10 >/dev/null`);
    const { runner } = await prepare(BEFORE, { ...BEFORE, devices: AFTER.devices });
    await runner.start();
    const counters = await server.sh("iptables-save -c");
    await runner.revert();
    expect(comparableCounters(await server.sh("iptables-save -c"))).toBe(comparableCounters(counters));
  });
});

describe("the deadline", () => {
  test("a confirmed change is left alone", async () => {
    await server.sh(WRITE_BEFORE);
    const { runner, folder } = await prepare(BEFORE, AFTER);
    await runner.start();
    await server.sh(CHANGES.join(";"));
    const changed = await server.dump();
    await folder.order(uptimeMs() + 300, "kill");
    await folder.markConfirmed();
    await runner.ended();
    expect(folder.outcome()).toBe("pending");
    expect(await server.dump()).toBe(changed);
  });

  test("ends the agent and its stopped children first, then undoes, on a full disk", async () => {
    const disk = `${server.folder}/disk`;
    await mkdir(disk);
    await runCommand("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]);
    try {
      await server.sh(WRITE_BEFORE);
      const before = await server.dump();
      const { runner, folder, files } = await prepare(BEFORE, AFTER, `${disk}/undo`);
      // an agent with a child of its own, which it stopped: it would undo the undo if it ever went on
      const agent = spawn("sh", ["-c", "sleep 1000 & kill -STOP $!; echo $!; exec sleep 1000"], {
        env: { ...process.env, SLUICE_AGENT_RUN: "run-7" },
        stdio: ["ignore", "pipe", "ignore"],
      });
      children.push(agent);
      const orphan = Number(String(await once(agent.stdout, "data")));
      const id = processIdOf(agent.pid ?? 0);
      if (id === undefined) throw new Error("the agent didn't start");
      await folder.prepare(SCRIPT, files, {}, { ...id, mark: "run-7" });
      await runner.start();
      await folder.order(uptimeMs() + 500, "kill");
      await server.sh(CHANGES.join(";"));
      await tryCommand("sh", ["-c", `cat /dev/zero > ${disk}/filler`]);
      await waitUntil("the undo", 60_000, () => folder.outcome() === "reverted");
      expect(processIdOf(agent.pid ?? 0)).toBeUndefined();
      expect(processIdOf(orphan)).toBeUndefined();
      expect(await server.dump()).toBe(before);
      await runner.ended();
    } finally {
      await runCommand("umount", [disk]);
    }
  });

  test("a runner that was killed is replaced when the agent undoes", async () => {
    await server.sh(WRITE_BEFORE);
    const before = await server.dump();
    const { runner, folder } = await prepare(BEFORE, AFTER);
    await runner.start();
    await server.sh(CHANGES.join(";"));
    process.kill(folder.runner()?.pid ?? 0, "SIGKILL");
    expect(await runner.revert()).toBe("reverted");
    expect(await server.dump()).toBe(before);
  });
});

function comparableCounters(text: string): string {
  return text
    .split("\n")
    .filter((line) => line.startsWith("["))
    .join("\n");
}

test("what can't be undone is told, with the kernel's words", async () => {
  await server.sh(WRITE_BEFORE);
  const { runner, folder } = await prepare(BEFORE, AFTER);
  await runner.start();
  await server.sh(CHANGES.join(";"));
  await server.sh("iptables -N other; iptables -A other -j SL-y");
  expect(await runner.revert()).toBe("partial");
  expect(folder.complaint()).toMatch(/chain SL-y: .*(busy|in use|CHAIN_DEL failed)/i);
  expect(await server.sh("iptables -S SL-INPUT")).toContain("--dport 22 -j SL-x");
});

test("a device that was let go before is nobody's: the undo leaves what stands on it", async () => {
  const bare = { qdiscs: [], classes: [], filters: [] };
  const released: Target = { ...EMPTY, chains: BEFORE.chains, devices: [{ device: "eth0", egress: bare }] };
  const { runner, files } = await prepare(released, { ...EMPTY, chains: AFTER.chains });
  await server.sh("tc qdisc add dev eth0 root handle 1: tbf rate 1mbit burst 10k latency 50ms");
  await runner.start();
  expect(await runner.revert()).toBe("reverted");
  expect(await server.sh("tc qdisc show dev eth0")).toContain("tbf");
  expect(files["tc.drop"]).toBe("");
});

test("a tool that hangs in the undo holds up its own part alone, and not for ever", async () => {
  const bin = `${server.folder}/bin`;
  await mkdir(bin);
  await writeFile(`${bin}/ip6tables-nft-restore`, "#!/bin/sh\nexec sleep 3600\n", { mode: 0o755 });
  await server.sh(WRITE_BEFORE);
  const before = await server.sh("iptables-save; ipset save sl-a; tc class show dev eth0");
  server.env.PATH = `${bin}:${process.env.PATH}:/usr/sbin:/usr/bin:/sbin:/bin`;
  const { runner, folder } = await prepare(BEFORE, AFTER);
  await runner.start();
  await server.sh(CHANGES.join(";"));
  expect(await runner.revert()).toBe("partial");
  expect(folder.complaint()).toMatch(/hangs|ip6/);
  expect(withoutNumbers(await server.sh("iptables-save; ipset save sl-a; tc class show dev eth0"))).toBe(
    withoutNumbers(before),
  );
}, 180_000);

function withoutNumbers(text: string): string {
  return text
    .replace(/^#.*\n/gm, "")
    .replace(/\[\d+:\d+\]/g, "")
    .replace(/initval \S+/g, "");
}
