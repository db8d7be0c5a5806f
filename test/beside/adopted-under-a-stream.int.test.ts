import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import type { Agent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { commandIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl } from "../agents/fake-link.ts";
import { createTestServer, type TestServer } from "../agents/server.ts";
import { type NumberedStream, startNumberedStream } from "../drivers/numbered-stream.ts";
import { importedFrom } from "./imported.ts";
import { hearTcWrites, type StandingTc, standingTc } from "./standing-tc.ts";

/**
 * One TCP connection of numbered lines through a class of a tree that changes hands, and back, and again. Its class is held
 * to a rate, so that there are always packets in its queue.
 */
const PATIENCE_MS = 600_000;
const PORT = 9000;
const LEAST_BYTES = 20_000_000;
const BY_HAND = [
  "tc qdisc add dev eth0 root handle 1: htb default 20",
  "tc class add dev eth0 parent 1: classid 1:10 htb rate 40mbit prio 1 mtu 1500",
  "tc class add dev eth0 parent 1: classid 1:20 htb rate 10mbit prio 2 mtu 1500",
  "tc qdisc add dev eth0 parent 1:10 pfifo limit 1000",
  `tc filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip sport ${PORT} 0xffff flowid 1:10`,
  `iptables-nft -A INPUT -p tcp --dport ${PORT} -j ACCEPT`,
].join(" && ");

let server: TestServer;
let client: RehearsalNamespace;
let stream: NumberedStream | undefined;
let agent: Agent | undefined;
const control = createFakeControl();

beforeAll(async () => {
  [server, client] = await Promise.all([createTestServer(), openRehearsal()]);
  await server.sh(`ip link set peer0 netns ${client.pid} && ${BY_HAND}`);
  await client.run("ip", ["-batch", "-"], {
    input: "address add 192.0.2.20/24 dev peer0\nlink set peer0 up\n",
  });
  stream = await startNumberedStream({ server: server.at, client, address: "192.0.2.10", port: PORT });
}, PATIENCE_MS);
afterAll(async () => {
  await agent?.close();
  await stream?.stop();
  await client?.close();
  await server?.remove();
});

test(
  "a tree is adopted, given back and adopted again under a TCP stream: not a byte of it is lost, its queue and counters stay",
  async () => {
    const { last, lost, ended } = stream ?? expect.fail("no stream");
    await waitUntil("the stream to flow", PATIENCE_MS, () => last() > 0);
    const before = await standingTc(server.sh);
    let counted = before;
    let line = last();
    /** The stream has gone on, and everything that stood counts on. */
    async function goesOn(when: string): Promise<void> {
      const now: StandingTc = await standingTc(server.sh);
      expect(now.text, when).toBe(before.text);
      for (const [object, bytes] of Object.entries(counted.sent))
        expect(now.sent[object], `${object}, ${when}`).toBeGreaterThanOrEqual(bytes);
      counted = now;
      const from = Math.max(line, last());
      await waitUntil(`the stream to flow on, ${when}`, PATIENCE_MS, () => last() > from || ended());
      expect([lost(), ended()], when).toEqual([undefined, false]);
      line = last();
    }
    let issued = 0;
    async function issue(manifest: Manifest, isConfirmed: boolean): Promise<void> {
      control.confirm = async ({ phase }) =>
        isConfirmed || phase === "preflight" ? { ok: true } : { ok: false, reason: "no" };
      issued += 1;
      control.issue(manifest, issued);
      await waitUntil(`outcome ${issued}`, PATIENCE_MS, () => control.outcomes().length >= issued);
      await waitUntil("the agent at rest", PATIENCE_MS, () => agent?.status().state !== "applying");
      expect(control.outcomes().at(-1)).toMatchObject({ result: isConfirmed ? "confirmed" : "reverted" });
    }

    const writes = await hearTcWrites(server.sh, commandIn(server.namespace, ["tc", "monitor"]));
    const live = namedNamespace(server.namespace, { env: { ...server.env, ...agentEnvironment() } });
    const { left, compiledIn } = await importedFrom(live, "nft");
    expect(left).toEqual([]);
    const [inert, adopted] = [compiledIn("imported"), compiledIn("enforce")];
    await goesOn("imported");
    agent = await startTestAgent(server, control);
    await issue(adopted, false);
    await goesOn("adopted and not confirmed");
    await issue(adopted, true);
    await goesOn("adopted");
    await issue(inert, true);
    await goesOn("given back");
    await issue(adopted, true);
    await goesOn("adopted again");
    await waitUntil("many megabytes", PATIENCE_MS, () => ended() || bytesUpTo(last()) > LEAST_BYTES);
    await agent.close();
    agent = undefined;
    await uninstall(await openStateFolder(`${server.folder}/state`), server.at);
    await goesOn("uninstalled");
    expect(await writes()).toEqual([]);
    expect(counted.sent["class 1:10"]).toBeGreaterThan(LEAST_BYTES);
    const queue = /qdisc pfifo .*\n Sent \d+ bytes \d+ pkt \(dropped (\d+),/.exec(
      await server.sh("tc -s qdisc show dev eth0"),
    );
    expect(queue?.[1]).toBe("0");
    console.log(`${bytesUpTo(last())} bytes arrived in order, in ${last()} lines`);
  },
  PATIENCE_MS,
);

/** Of the lines `1` to `n`, each with its end. */
function bytesUpTo(n: number): number {
  let bytes = 0;
  for (let first = 1, width = 2; first <= n; first *= 10, width += 1)
    bytes += (Math.min(n, first * 10 - 1) - first + 1) * width;
  return bytes;
}
