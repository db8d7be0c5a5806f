import { existsSync } from "node:fs";
import { uninstall } from "@sluice/agents/run/uninstall";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { undoFolder } from "@sluice/agents/undo/undo-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startAgentChild } from "./child.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** Of every kind of object that others keep where ours are: nothing of it goes, whatever is taken out. */
const FOREIGN = [
  "nft 'add table inet other { chain input { type filter hook input priority 10; ip saddr 203.0.113.1 drop; }; }'",
  ...["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"].flatMap((tool) => [
    `${tool} -N f2b-sshd`,
    `${tool} -A f2b-sshd -j RETURN`,
    `${tool} -A INPUT -p tcp --dport 22 -j f2b-sshd`,
    `${tool} -t mangle -A OUTPUT -p tcp -j MARK --set-mark 7`,
  ]),
  "ipset create other hash:ip; ipset add other 203.0.113.1",
  "tc qdisc add dev peer0 root handle 1: tbf rate 1mbit burst 10k latency 50ms",
].join("; ");

let server: TestServer;
beforeEach(async () => {
  server = await createTestServer();
});
afterEach(async () => {
  await server.remove();
});

async function all(): Promise<string> {
  const [nft, legacy] = [await server.dump("nft"), await server.dump("legacy")];
  return `${nft}\n${legacy}\n${await server.sh("nft list table inet other")}`;
}

test.each(["nft", "legacy"] as const)(
  "uninstalled in mid-change (%s), a server is what it was before Sluice, foreign things beside it untouched, and stays so",
  async (backend) => {
    await server.sh(FOREIGN);
    const bare = await all();
    const agent = startAgentChild(server, {
      backend,
      manifests: [firewall(), { ...firewall({ port: 2222, rate: "3mbit" }), deadlineMs: 8_000 }],
      stopAt: { step: "confirm" },
    });
    try {
      await agent.reached("held 1");
      agent.go();
      await agent.reached("stopped at confirm");
      expect(await all()).not.toBe(bare);
    } finally {
      await agent.child.stop("SIGKILL");
    }
    const state = stateFolder(`${server.folder}/state`);
    const undo = undoFolder(state.undo);
    expect(undo.runner()).toBeDefined();
    expect(await uninstall(state, server.at)).not.toEqual([]);
    expect(await all()).toBe(bare);
    await waitUntil("the runner's end", 30_000, () => undo.runner() === undefined);
    expect(await all()).toBe(bare);
    expect(existsSync(state.held)).toBe(false);
    expect(await uninstall(state, server.at)).toEqual([]);
  },
);
