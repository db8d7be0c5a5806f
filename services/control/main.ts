import { parseArgs } from "node:util";
import { messageOf } from "@sluice/proto/base/errors";
import { pino } from "pino";
import type { Listen } from "./api/http.ts";
import { randomIds } from "./context/ids.ts";
import { startControl } from "./control.ts";
import { changeKey } from "./start/change-key.ts";
import { openEpoch } from "./start/epoch.ts";
import { openDatabase } from "./start/open-database.ts";
import { rebuildTables } from "./start/rebuild-tables.ts";

const HELP = `sluice-control: the central service

  sluice-control          serves until it is told to stop
  sluice-control rebuild  makes the tables beside the log again from its events, and ends; control may run meanwhile
                          events that are archived are read from --archive FILE, given for each archive
  sluice-control open-epoch --reason WHY
                          after the database was restored, while no control runs: what is issued from now on counts
                          above all that was issued before. The fleet is frozen, until somebody has looked and thaws it.
  sluice-control change-key --reason WHY
                          while no control runs: makes another key, which signs from then on, and says so in the log, so
                          that what was signed before still counts. Every server has to be enrolled again.

  DATABASE_URL            Postgres (needed)
  NATS_URL                NATS, several by comma (nats://127.0.0.1:4222)
  SLUICE_ADMIN_TOKEN      the token of the actor "admin"
  LOG_LEVEL               info

  --listen HOST:PORT      or unix:PATH; may be given several times (127.0.0.1:7070)
  --state-dir DIR         for control's keys (/var/lib/sluice/control)
  --schema NAME           the Postgres schema (sluice)
  --database-host DIR     folder of Postgres' UNIX socket, instead of the URL's host
  --agent-nats URL        NATS as agents reach it; may be given several times (NATS_URL)
  --agent-endpoint IP:PORT  control and NATS as agents reach them; may be given several times
  --reason WHY, --actor WHO  of open-epoch and change-key, for the log ("admin" unless said)
  --archive FILE          of rebuild: an archive of the log; may be given several times
  --was KEY               of change-key, where the old key is lost: its public half, in base64
  --epoch N               of open-epoch: another one than the next
`;

const { values, positionals } = readWords();

if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const {
  DATABASE_URL,
  NATS_URL = "nats://127.0.0.1:4222",
  SLUICE_ADMIN_TOKEN,
  LOG_LEVEL = "info",
} = process.env;
const log = pino({ level: LOG_LEVEL });
// a connection that is lost may reject a promise inside a client library that nobody holds: said, and survived
process.on("unhandledRejection", (reason) =>
  log.error({ reason: messageOf(reason) }, "a promise was left alone"),
);
const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopping.abort());

try {
  const [verb = "serve", ...more] = positionals;
  if (more.length > 0 || !["serve", "rebuild", "open-epoch", "change-key"].includes(verb))
    throw new Error(`there is no ${positionals.join(" ")}: see sluice-control --help`);
  if (!DATABASE_URL) throw new Error("DATABASE_URL is needed: the Postgres that keeps the event log");
  const common = {
    databaseUrl: DATABASE_URL,
    databaseHost: values["database-host"],
    schema: values.schema,
    log,
    signal: stopping.signal,
  };
  if (verb === "rebuild") {
    await rebuildTables({ ...common, archives: values.archive });
    process.exit(0);
  }
  if (verb === "open-epoch") {
    const { reason, actor, epoch } = values;
    if (!reason) throw new Error("open-epoch wants --reason WHY: it is for the log");
    if (epoch !== undefined && !/^[1-9]\d{0,8}$/.test(epoch)) throw new Error(`--epoch ${epoch} is no count`);
    await using database = await openDatabase(common, { max: 2 });
    const opened = await openEpoch(database, {
      ...{ actor, reason, ids: randomIds, clock: { now: () => new Date() } },
      ...(epoch !== undefined && { epoch: Number(epoch) }),
    });
    log.info({ epoch: opened }, "a new epoch is open, and the fleet is frozen");
    await database.close();
    process.exit(0);
  }
  if (verb === "change-key") {
    const { reason, actor, was, "state-dir": stateDir } = values;
    if (!reason) throw new Error("change-key wants --reason WHY: it is for the log");
    await using database = await openDatabase(common, { max: 2 });
    const clock = { now: () => new Date() };
    const kid = await changeKey(database, { stateDir, actor, reason, was, clock, ids: randomIds });
    log.info({ kid }, "another key signs from now on: enrol the servers again");
    await database.close();
    process.exit(0);
  }
  const control = await startControl({
    ...common,
    natsUrls: NATS_URL.split(","),
    listens: values.listen.map(parseListen),
    stateDir: values["state-dir"],
    agentNatsUrls: values["agent-nats"],
    agentEndpoints: values["agent-endpoint"],
    adminToken: SLUICE_ADMIN_TOKEN,
  });
  await new Promise<void>((resolve) => {
    if (stopping.signal.aborted) resolve();
    stopping.signal.addEventListener("abort", () => resolve());
  });
  await control.close();
  process.exit(0);
} catch (error) {
  if (!stopping.signal.aborted) log.fatal(messageOf(error));
  process.exit(stopping.signal.aborted ? 0 : 1);
}

function parseListen(text: string): Listen {
  if (text.startsWith("unix:")) return { path: text.slice("unix:".length) };
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:]+)):(\d+)$/i.exec(text);
  if (match === null) throw new Error(`--listen ${text} is neither HOST:PORT, [IPV6]:PORT nor unix:PATH`);
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
}

/** Ends the process where they are none that it knows, as every tool does: the reason, no stack. */
function readWords() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        listen: { type: "string", multiple: true, default: ["127.0.0.1:7070"] },
        "state-dir": { type: "string", default: process.env.SLUICE_STATE_DIR ?? "/var/lib/sluice/control" },
        schema: { type: "string" },
        "database-host": { type: "string" },
        "agent-nats": { type: "string", multiple: true },
        "agent-endpoint": { type: "string", multiple: true },
        reason: { type: "string" },
        actor: { type: "string", default: "admin" },
        epoch: { type: "string" },
        was: { type: "string" },
        archive: { type: "string", multiple: true, default: [] },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`sluice-control: ${messageOf(error)}\n  → sluice-control --help\n`);
    process.exit(1);
  }
}
