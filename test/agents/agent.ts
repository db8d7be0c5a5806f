import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import { type Agent, type AgentOptions, startAgent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import type { Intervals } from "@sluice/agents/run/intervals";
import { createLook } from "@sluice/agents/run/look";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { commandIn } from "@sluice/infra/net/namespace";
import { type FakeControl, SERVER } from "./fake-link.ts";
import type { TestServer } from "./server.ts";

export interface TestAgentOptions {
  backend?: "nft" | "legacy";
  intervals?: Partial<Intervals>;
  at?: AgentOptions["at"];
  dial?: AgentOptions["dial"];
  log?: AgentOptions["log"];
  auditLog?: string;
}

/** The whole agent in this process, serving a namespace from outside it, with control played by the test. */
export async function startTestAgent(
  server: TestServer,
  control: Pick<FakeControl, "connect">,
  options: TestAgentOptions = {},
): Promise<Agent> {
  const env = { ...server.env, ...agentEnvironment() };
  const live = namedNamespace(server.namespace, { env });
  const look = createLook({
    live,
    version: "0.0.0-test",
    control: ["192.0.2.1:4222"],
    backend: options.backend ?? "nft",
  });
  return await startAgent({
    state: await openStateFolder(`${server.folder}/state`),
    live,
    prefix: commandIn(server.namespace, []),
    env,
    backend: options.backend ?? "nft",
    log: options.log ?? (() => undefined),
    server: SERVER,
    connect: control.connect,
    known: await look(),
    look,
    intervals: options.intervals,
    auditLog: options.auditLog,
    at: options.at,
    dial: options.dial,
  });
}
