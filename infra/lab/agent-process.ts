import { createWriteStream } from "node:fs";
import { AGENT_ENVIRONMENT, AGENT_NODE_FLAGS } from "../build/build-agent.ts";
import { commandIn, environmentIn } from "../net/namespace.ts";
import { type GuardedChild, startGuarded } from "../process/guarded-child.ts";

/**
 * The agent of one server, kept running as systemd would: one that ends (killed by its undo runner, say) is started
 * again after a moment; one that refused to run (uninstalled, say), after a while.
 */
export interface AgentProcess {
  readonly server: string;
  readonly stateFolder: string;
  pid(): number | undefined;
  /** Sends a signal to the process that runs now; the supervisor starts another if it dies of it. */
  signal(name: NodeJS.Signals): void;
  /** Ends it, and keeps it down until `start`. */
  down(): Promise<void>;
  /** With another token it enrols anew, where it must. */
  start(joinToken?: string): void;
  stop(): Promise<void>;
}

export interface AgentOptions {
  server: string;
  namespace: string;
  stateFolder: string;
  /** the bundled agent, or its source */
  program: string;
  controlUrl: string;
  joinToken: string;
  logFile: string;
  /** a folder whose tools are found before the machine's own */
  toolsFolder?: string | undefined;
  /** more words for `sluice-agent run` */
  flags?: readonly string[] | undefined;
}

const RESTART_MS = 200;
const REFUSED = 2;
const REFUSED_RESTART_MS = 5_000;

export function startAgentProcess(options: AgentOptions): AgentProcess {
  const { server, namespace, stateFolder } = options;
  const log = createWriteStream(options.logFile, { flags: "a" });
  let wanted = true;
  let token = options.joinToken;
  let child: GuardedChild | undefined;
  let timer: NodeJS.Timeout | undefined;

  function start(joinToken = token): void {
    wanted = true;
    token = joinToken;
    if (child?.isRunning()) return;
    const command = [process.execPath, ...AGENT_NODE_FLAGS, options.program, "run", "--state", stateFolder];
    const join = ["--control", options.controlUrl, "--join", token];
    const words = [...command, ...join, ...(options.flags ?? [])];
    const started = startGuarded(commandIn(namespace, words), {
      env: environment(),
      deathSignal: "TERM",
    });
    child = started;
    started.stdout.pipe(log, { end: false });
    started.stderr.pipe(log, { end: false });
    void started.exited.then(({ code, text }) => {
      log.write(`-- ${text}\n`);
      if (wanted) timer = setTimeout(() => start(), code === REFUSED ? REFUSED_RESTART_MS : RESTART_MS);
    });
  }

  function environment(): NodeJS.ProcessEnv {
    const env = environmentIn(namespace);
    const path = [options.toolsFolder, env.PATH].filter((part) => part !== undefined);
    return { ...env, ...AGENT_ENVIRONMENT, PATH: path.join(":") };
  }

  async function down(): Promise<void> {
    wanted = false;
    clearTimeout(timer);
    await child?.stop("SIGTERM");
  }

  start();
  return {
    server,
    stateFolder,
    pid: () => (child?.isRunning() ? child.pid : undefined),
    signal: (name) => child?.signal(name),
    down,
    start,
    async stop() {
      await down();
      log.end();
    },
  };
}
