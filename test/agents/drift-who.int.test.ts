import { appendFileSync, writeFileSync } from "node:fs";
import type { Agent } from "@sluice/agents/run/agent";
import { commandIn } from "@sluice/infra/net/namespace";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { waitForLine } from "@sluice/infra/process/wait-for-line";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;
let auditLog: string;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
  auditLog = `${server.folder}/audit.log`;
  writeFileSync(auditLog, "");
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  await server.remove();
});

async function given(backend: "nft" | "legacy"): Promise<void> {
  agent = await startTestAgent(server, control, { backend, auditLog, intervals: { pollMs: 200 } });
  control.issue(firewall(), 1);
  await waitUntil("generation 1", 60_000, () => control.outcomes().length === 1);
  await waitUntil("rest", 60_000, () => agent?.status().state === "idle");
}

/** A process of the namespace that waits, and becomes the tool when told to: its pid is known before it acts. */
async function vandal(tool: string, ...args: string[]) {
  const command = ["sh", "-c", 'echo $$ >&2; read go; exec "$@"', "sh", tool, ...args];
  const child = startGuarded(commandIn(server.namespace, command), {
    env: { ...process.env, ...server.env },
  });
  const pid = Number((await waitForLine(child, { pattern: /^\d+$/, timeoutMs: 20_000 })).at(-1));
  return {
    pid,
    /** what an audit daemon writes of the change that it is about to make */
    isRecorded() {
      const head = (type: string) => `type=${type} msg=audit(${(Date.now() / 1000).toFixed(3)}:9):`;
      const title = Buffer.from([tool, ...args].join("\0")).toString("hex");
      const records = [
        `${head("NETFILTER_CFG")} table=filter family=2 entries=5 op=xt_replace pid=${pid} comm="${tool}"`,
        `${head("SYSCALL")} syscall=54 success=yes ppid=1 pid=${pid} auid=0 uid=0 comm="${tool}"`,
        `${head("PROCTITLE")} proctitle=${title}`,
      ];
      appendFileSync(auditLog, `${records.join("\n")}\n`);
    },
    async acts() {
      child.stdin.write("go\n");
      await child.exited;
    },
  };
}

test.each(["nft", "legacy"] as const)(
  "on %s, who changed a table is told with user and command line where the kernel's audit is kept",
  async (backend) => {
    await given(backend);
    const { pid, isRecorded, acts } = await vandal(`iptables-${backend}`, "-F", "SL-web-ssh");
    isRecorded();
    await acts();
    await waitUntil("the drift", 60_000, () => control.drifts().length > 0);
    expect(control.drifts()[0]?.by).toEqual({
      pid,
      tool: `iptables-${backend}`,
      user: "root",
      command: `iptables-${backend} -F SL-web-ssh`,
    });
  },
);

test("who did the last change isn't blamed for the next one, of which nothing is recorded", async () => {
  await given("legacy");
  const first = await vandal("iptables-legacy", "-F", "SL-web-ssh");
  first.isRecorded();
  await first.acts();
  await waitUntil("the first drift", 60_000, () => control.drifts().length === 1);
  await server.sh("iptables-legacy -F SL-web-ssh");
  await waitUntil("the second drift", 60_000, () => control.drifts().length === 2);
  expect(control.drifts().map(({ by }) => by?.pid)).toEqual([first.pid, undefined]);
});
