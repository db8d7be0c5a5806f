import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@sluice/cli/client";
import { type Control, startControl } from "@sluice/control/control";
import { connect, type Database } from "@sluice/db/connect";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { PlanView } from "@sluice/proto/api/plans";
import type { RolloutView } from "@sluice/proto/api/rollouts";
import { createSigningKey, type SignedMessage, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { DesiredEnvelope } from "@sluice/proto/wire/envelope";
import type { OutcomeResult, Pulse, Refusal, ReportBody } from "@sluice/proto/wire/report";
import { agentKeys } from "./agent-keys.ts";
import { memoryLink } from "./memory-link.ts";

export const ADMIN = "the-admin-token-of-this-test";
const PATIENCE_MS = 60_000;
/** Servers say that they are there when a test has time pass, and a slow machine isn't to be taken for their silence. */
export const DISCONNECTED_AFTER_MS = 3_600_000;

/**
 * Control on real Postgres, in a schema of its own, spoken to over HTTP by the real client. Servers are played by the
 * test: they report what the test says they do. The clock is the machine's plus what the test adds.
 */
export async function startWorld(databaseUrl: string) {
  const schema = `t_${randomUUID().replaceAll("-", "")}`;
  const stateDir = await mkdtemp(join(tmpdir(), "sluice-control-"));
  const link = memoryLink();
  let aheadMs = 0;
  const troubles: string[] = [];
  const trouble = (details: object, message: string) =>
    void troubles.push(`${message} ${JSON.stringify(details)}`);
  let stoppedMs: number | undefined;
  const clock = { now: () => new Date((stoppedMs ?? Date.now()) + aheadMs) };

  function start(): Promise<Control> {
    return startControl({
      databaseUrl,
      schema,
      stateDir,
      clock,
      natsUrls: ["nats://127.0.0.1:1"],
      agentEndpoints: ["198.51.100.1:7070"],
      listens: [{ host: "127.0.0.1", port: 0 }],
      adminToken: ADMIN,
      openLink: link.open,
      log: { info: () => undefined, warn: trouble, error: trouble },
      timings: {
        disconnectedAfterMs: DISCONNECTED_AFTER_MS,
        sweepMs: 20,
        silenceGraceMs: 1_000,
        listSweepMs: 20,
        controlPulseMs: 20,
        checkpointLookMs: 20,
      },
    });
  }

  let control = await start();
  let client: Client = createClient({ url: control.url, token: ADMIN });
  const names: string[] = [];
  const reportKeys = new Map<string, SigningKey>();

  async function report(server: string, body: ReportBody, id: string = randomUUID()): Promise<void> {
    await link.linkIn().onReport({ v: 1, server, id, at: clock.now().toISOString(), body });
  }

  function pulse(server: string, more: Partial<Pulse> = {}): void {
    const desired = link.desired.get(server);
    link.linkIn().onPulse({
      ...{ v: 1, server, at: clock.now().toISOString(), state: "idle", lists: {}, differences: 0 },
      epoch: 1,
      generation: desired?.generation ?? 0,
      digest: desired?.manifest.digest ?? "",
      ...more,
    });
  }

  const world = {
    link,
    clock,
    stateDir,
    /** what control warned of */
    troubles,
    get client() {
      return client;
    },
    get url() {
      return control.url;
    },
    report,
    pulse,

    /** Time passes; unless said, servers go on sending pulses. */
    pass(ms: number, { pulses = true } = {}) {
      aheadMs += ms;
      if (pulses) for (const server of names) pulse(server);
    },

    /** No time passes meanwhile but what `pass` says. */
    async withClockStopped(work: () => Promise<void>): Promise<void> {
      stoppedMs = Date.now();
      await work().finally(() => {
        stoppedMs = undefined;
      });
    },

    as: (token: string) => createClient({ url: control.url, token }),

    /** A server that is enrolled, has said what it is, and is there. */
    async join(server: string, labels: Record<string, string> = {}, facts = factsOf(server)): Promise<void> {
      const { token } = await client.servers.add.mutate({ server, labels });
      const reportKey = createSigningKey();
      reportKeys.set(server, reportKey);
      await post("/enrol", { token, ...agentKeys(), publicKey: reportKey.publicKey });
      await report(server, { kind: "facts", facts });
      names.push(server);
      pulse(server);
    },

    /** The server has seen a checkpoint, and says so. */
    sees(server: string, checkpoint: SignedMessage): void {
      const key = reportKeys.get(server);
      if (key === undefined) throw new Error(`${server} has no key`);
      const value = { v: 1, server, checkpoint, at: clock.now().toISOString() };
      pulse(server, { witness: signMessage(key, "witness", value) });
    },

    /** As its superuser, beside control. */
    async database<T>(use: (database: Database) => Promise<T>): Promise<T> {
      await using database = await connect(databaseUrl, { schema });
      return await use(database);
    },

    async apply(text: string): Promise<number> {
      const view = await client.policies.revise.mutate({ files: [{ name: "p.yaml", text }] });
      return view.policies[0]?.revision ?? 0;
    },

    /** What a server has been told, once it is told this generation. */
    async told(server: string, generation: number): Promise<DesiredEnvelope> {
      await waitUntil(`generation ${generation} put for ${server}`, PATIENCE_MS, () => {
        return link.desired.get(server)?.generation === generation;
      });
      const envelope = link.desired.get(server);
      if (envelope === undefined) throw new Error("it was put");
      return envelope;
    },

    /** The server says what came of what it was told. */
    async outcome(
      server: string,
      generation: number,
      result: OutcomeResult,
      reason = "",
      id: string = randomUUID(),
    ) {
      const { epoch, manifest, rollout } = await world.told(server, generation);
      const refusal: Refusal = { step: "rehearse", reason };
      await report(
        server,
        {
          ...{ kind: "outcome", epoch, generation, digest: manifest.digest, result },
          ...(rollout !== undefined && { rollout }),
          ...(result !== "confirmed" && { refusal }),
        },
        id,
      );
    },

    async post(path: string, body: unknown) {
      return await post(path, body);
    },

    async rolledOut(rollout: string): Promise<RolloutView> {
      await waitUntil(`the end of ${rollout}`, PATIENCE_MS, async () => {
        return (await client.rollouts.show.query({ rollout })).state !== "running";
      });
      return await client.rollouts.show.query({ rollout });
    },

    async planned(plan: string): Promise<PlanView> {
      await waitUntil(`the end of ${plan}`, PATIENCE_MS, async () => {
        return (await client.plans.show.query({ plan })).state !== "running";
      });
      return await client.plans.show.query({ plan });
    },

    /** A connection to control's database. */
    connect: () => connect(databaseUrl, { schema }),

    /** Control stops, and another one starts on the same database; `meanwhile` is done to it in between. */
    async restart(meanwhile?: (database: Database) => Promise<void>): Promise<void> {
      await control.close();
      if (meanwhile) {
        await using database = await connect(databaseUrl, { schema });
        await meanwhile(database);
      }
      control = await start();
      client = createClient({ url: control.url, token: ADMIN });
    },

    async stop(): Promise<void> {
      await control.close();
      const database = await connect(databaseUrl, { schema });
      await database.sql`drop schema ${database.sql(schema)} cascade`;
      await database.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };

  async function post(path: string, body: unknown): Promise<Response> {
    return await fetch(new URL(path, control.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  return world;
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** What a plain Debian server says of itself; each has an address of its own. */
export function factsOf(server: string): Facts {
  const last = [...server].reduce((sum, letter) => (sum + letter.charCodeAt(0)) % 200, 1);
  return {
    hostname: server,
    kernel: "6.1.0",
    os: "Debian 12",
    agent: "0.1.0",
    devices: [{ name: "eth0", mtu: 1500, txQueueLength: 1000, addresses: [`10.0.0.${last}/24`] }],
    capabilities: {
      iptables: { version: "1.8.9", backend: "nft" },
      ipv6: true,
      qdiscs: ["htb", "tbf", "pfifo"],
      filters: ["u32"],
      ifb: true,
      setTypes: ["hash:ip", "hash:net"],
      recentMaxHits: 65_535,
      targets: ["CLASSIFY", "MARK", "LOG"],
    },
  };
}

/** A policy for servers with a label, which drops a TCP port. */
export function portPolicy(policy: string, port: number, role = "web"): string {
  return [
    `policy: ${policy}`,
    `targets: { labels: { role: ${role} } }`,
    "firewall:",
    "  filter:",
    "    INPUT:",
    `      - -p tcp --dport ${port} -j DROP`,
    "",
  ].join("\n");
}
