import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Client, createClient } from "@sluice/cli/client";
import type { Context } from "@sluice/cli/context";
import type { NatsServer } from "../fixtures/nats.ts";
import { type PostgresServer, startPostgres } from "../fixtures/postgres.ts";
import { createFabric, type Fabric } from "../net/fabric.ts";
import { relayTcpToUnix, relayUnixToTcp } from "../net/relay.ts";
import { type Station, startStation } from "../packets/station.ts";
import { unlessAborted } from "../process/abort.ts";
import { cleanUpOnDeath } from "../process/janitor.ts";
import { waitUntil } from "../process/wait-until.ts";
import { type AgentProcess, startAgentProcess } from "./agent-process.ts";
import { startBroker } from "./broker.ts";
import { type ControlProcess, startControlProcess } from "./control-process.ts";
import { type IptablesBackend, iptablesToolsIn } from "./iptables-tools.ts";
import { openServerServices } from "./server-services.ts";
import { withLastWords } from "./with-last-words.ts";

/**
 * A whole Sluice on one machine: control and NATS in a namespace of their own, each server a namespace with the real
 * agent in it, a client beside them, Postgres below.
 *
 * 1. Everything is real; only the wires are virtual.
 * 2. `stop()` leaves nothing, whatever failed on the way; neither does the death of this process.
 * 3. So does the abort of `signal` while it starts, at once and not when the start has had its time.
 * 4. The default namespace gets one listener on 127.0.0.1, the way to the API, and nothing else.
 */
export interface Lab extends AsyncDisposable {
  readonly fabric: Fabric;
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly control: ControlProcess;
  readonly agents: readonly AgentProcess[];
  /** the way to the API for anybody on this machine */
  readonly context: Context;
  readonly client: Client;
  /** makes connections from the host `client` */
  readonly outside: Station;
  /** what serves, and makes connections, on each server */
  readonly stations: ReadonlyMap<string, Station>;
  readonly folder: string;
  agent(server: string): AgentProcess;
  stop(): Promise<void>;
}

export interface LabOptions {
  /** logs, sockets and the state of control and agents; made, and removed again by `stop` */
  folder: string;
  /** before every namespace's name; "" gives `server-1` … */
  prefix?: string;
  servers?: number | undefined;
  /** control's program: the bundle, or services/control/main.ts */
  controlProgram: string;
  /** the agent's program: the bundle, or agents/main.ts */
  agentProgram: string;
  /** more words for `sluice-agent run` */
  agentFlags?: readonly string[];
  /** what plain `iptables` is on server-1, server-2 …; the machine's own choice unless said */
  backends?: readonly IptablesBackend[];
  progress?(what: string): void;
  /** aborted: the start fails with its reason. Of a lab that runs, `stop` is the end. */
  signal?: AbortSignal;
}

const API_PORT = 7700;
const READY_MS = 60_000;

export async function startLab(options: LabOptions): Promise<Lab> {
  const { folder, signal } = options;
  function progress(what: string): void {
    signal?.throwIfAborted();
    options.progress?.(what);
  }
  await using stack = new AsyncDisposableStack();
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const janitor = cleanUpOnDeath({ paths: [folder] });
  stack.defer(async () => {
    await rm(folder, { recursive: true, force: true });
    janitor.release();
  });

  progress("namespaces");
  const fabric = stack.use(
    await createFabric({
      ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
      servers: options.servers ?? 4,
    }),
  );
  const home = fabric.host("control");

  progress("postgres and nats");
  const postgres = await startPostgres({ signal });
  stack.defer(() => postgres.stop());
  const broker = stack.use(await startBroker(home, folder, signal));
  const database = new URL(postgres.url);
  const databaseSocket = join(folder, `.s.PGSQL.${database.port || 5432}`);
  stack.use(
    await relayUnixToTcp({
      socketPath: databaseSocket,
      host: database.hostname,
      port: Number(database.port || 5432),
    }),
  );

  progress("control");
  const stateFolder = join(folder, "control");
  await mkdir(stateFolder, { mode: 0o700 });
  if (broker.authority !== undefined) {
    await writeFile(join(stateFolder, "authority.json"), JSON.stringify(broker.authority), { mode: 0o600 });
  }
  const token = randomBytes(24).toString("hex");
  const socketPath = join(folder, "control.sock");
  const control = startControlProcess({
    namespace: home.namespace,
    program: options.controlProgram,
    logFile: join(folder, "control.log"),
    args: [
      ...["--listen", `${home.ipv4}:${API_PORT}`, "--listen", `unix:${socketPath}`],
      ...["--state-dir", stateFolder, "--database-host", folder],
      ...["--agent-endpoint", `${home.ipv4}:${API_PORT}`, "--agent-endpoint", new URL(broker.url).host],
    ],
    environment: { DATABASE_URL: postgres.url, NATS_URL: broker.url, SLUICE_ADMIN_TOKEN: token },
  });
  stack.defer(() => control.stop());
  const api = stack.use(await relayTcpToUnix({ listenPort: 0, socketPath }));
  const context = { url: `http://127.0.0.1:${api.port}`, token };
  const client = createClient(context);
  const logs = [join(folder, "control.log")];
  await withLastWords(logs, () =>
    waitUntil(
      "control's answer",
      READY_MS,
      async () => {
        await client.fleet.show.query();
        return true;
      },
      signal,
    ),
  );

  progress("agents");
  const agents: AgentProcess[] = [];
  const stations = new Map<string, Station>();
  stack.defer(async () => void (await Promise.all(agents.map((agent) => agent.stop()))));
  for (const [index, host] of fabric.servers.entries()) {
    const backend = options.backends?.[index];
    const adding = client.servers.add.mutate({
      server: host.name,
      labels: { site: "lab" },
      reason: "the lab starts",
    });
    const added = await unlessAborted(signal, adding);
    stations.set(host.name, stack.use(await openServerServices(host.namespace)));
    agents.push(
      startAgentProcess({
        server: host.name,
        namespace: host.namespace,
        stateFolder: join(folder, host.name),
        program: options.agentProgram,
        controlUrl: `http://${home.ipv4}:${API_PORT}`,
        joinToken: added.token,
        logFile: join(folder, `${host.name}.log`),
        flags: options.agentFlags,
        toolsFolder: backend && (await iptablesToolsIn(join(folder, `${host.name}-tools`), backend)),
      }),
    );
  }
  logs.push(...fabric.servers.map(({ name }) => join(folder, `${name}.log`)));
  await withLastWords(logs, () =>
    waitUntil(
      "every agent's enrolment and facts",
      READY_MS,
      async () => {
        const rows = await client.servers.ls.query({});
        return rows.every(({ connected, state }) => connected && state !== "added");
      },
      signal,
    ),
  );
  const outside = stack.use(await startStation(fabric.host("client").namespace));
  signal?.throwIfAborted();

  const owned = stack.move();
  let stopping: Promise<void> | undefined;
  function stop(): Promise<void> {
    stopping ??= owned.disposeAsync();
    return stopping;
  }
  return {
    fabric,
    postgres,
    nats: broker.server,
    control,
    agents,
    context,
    client,
    outside,
    stations,
    folder,
    agent(server) {
      const found = agents.find((agent) => agent.server === server);
      if (found === undefined) throw new Error(`no agent on ${server}`);
      return found;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
