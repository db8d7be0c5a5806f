import type { Database } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { control } from "@sluice/db/projections/control";
import { past } from "@sluice/db/projections/past";
import { Projector } from "@sluice/db/projections/projector";
import { type SigningKey, signMessage } from "@sluice/proto/base/sign";
import { upcast } from "@sluice/proto/events/upcast";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { signersOf } from "@sluice/proto/wire/succession";
import { type Listen, serveHttp } from "./api/http.ts";
import { successionsSaid } from "./audit/signers.ts";
import { Witnesses } from "./audit/witnesses.ts";
import { compile } from "./compile/compile.ts";
import { Hub } from "./context/hub.ts";
import { randomIds } from "./context/ids.ts";
import { KeyedQueue } from "./context/keyed-queue.ts";
import { createListening } from "./context/listening.ts";
import type { Clock, Ids, Logger, Services, Timings } from "./context/services.ts";
import { createHitBook } from "./hits/hit-book.ts";
import { type Authority, agentJwt, readerCredentials } from "./link/authority.ts";
import { type ControlLink, createControlLink } from "./link/control-link.ts";
import type { LinkIn } from "./link/link.ts";
import { ListBooks } from "./lists/books.ts";
import { createReaderKeeper } from "./loops/keep-readers.ts";
import { type LateLink, lateLink } from "./loops/late-link.ts";
import { createLinkIn } from "./loops/link-in.ts";
import { createCheckpointPublisher } from "./loops/publish-checkpoints.ts";
import { createDesiredPublisher } from "./loops/publish-desired.ts";
import { createListPublisher } from "./loops/publish-lists.ts";
import { createEventRelay } from "./loops/relay.ts";
import { Documents } from "./policies/documents.ts";
import { Protected } from "./servers/protected.ts";
import { Pulses } from "./servers/pulses.ts";
import { currentEpoch } from "./start/epoch.ts";
import { runLoops } from "./start/loops.ts";
import { type DatabaseOptions, openDatabase } from "./start/open-database.ts";
import { keepSigningKey, readAuthority } from "./start/state-dir.ts";
import { keepBootstrapToken } from "./tokens/tokens.ts";

export interface ControlOptions extends DatabaseOptions {
  natsUrls: readonly string[];
  /** where the API is served; the first one is `url` */
  listens: readonly Listen[];
  /** for the signing key (made at the first start) and `authority.json` */
  stateDir: string;
  /** what agents are told at enrolment; `natsUrls` unless said */
  agentNatsUrls?: readonly string[] | undefined;
  /** `ip:port` of control and NATS as agents reach them: never blocked by any list */
  agentEndpoints?: readonly string[] | undefined;
  /** the token of the actor `admin` */
  adminToken?: string | undefined;
  /** instead of `authority.json` in the state folder */
  authority?: Authority | undefined;
  clock?: Clock | undefined;
  ids?: Ids | undefined;
  timings?: Partial<Timings> | undefined;
  /** instead of NATS */
  openLink?: ((linkIn: LinkIn) => Promise<ControlLink>) | undefined;
}

export interface Control {
  /** `http://host:port`, or `unix:PATH` */
  url: string;
  /** Ends what is under way and lets go of everything. */
  close(): Promise<void>;
}

const TIMINGS: Timings = {
  disconnectedAfterMs: 30_000,
  silenceGraceMs: 30_000,
  sweepMs: 1_000,
  listSweepMs: 10_000,
  controlPulseMs: 5_000,
  checkpointLookMs: 1_000,
  checkpointMs: 60_000,
};

const SILENT: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/**
 * The whole of control in one process: database, link, API and what it does by itself. Returns when the API answers;
 * that is after Postgres is there, and whether or not NATS is.
 */
export async function startControl(options: ControlOptions): Promise<Control> {
  const database = await openDatabase(options, { max: 20 });
  try {
    return await startOn(database, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function startOn(database: Database, options: ControlOptions): Promise<Control> {
  const { log = SILENT } = options;
  const signingKey = await keepSigningKey(options.stateDir);
  const authority = options.authority ?? (await readAuthority(options.stateDir));
  const appender = new Appender(database, { log });
  const projector = new Projector(database, {
    projections: [control],
    upcast,
    log,
  });
  await projector.catchUp();
  const { link, ...rest } = await createServices(database, options, { signingKey, authority });
  const services: Services = {
    ...{ ...rest, link, appender, projections: projector },
    past: new Projector(database, { projections: [past], upcast, log }),
  };
  const publishers = [
    createDesiredPublisher(services),
    createListPublisher(services),
    createEventRelay(services),
    createCheckpointPublisher(services),
    createReaderKeeper(services),
  ];
  const linkIn = createLinkIn(services, () => {
    for (const publisher of publishers) publisher.again();
  });
  link.open(linkIn);
  if (options.adminToken !== undefined) await keepBootstrapToken(services, options.adminToken);
  const http = await serveHttp(services, options.listens, () => ({ nats: link.connected() }));
  const stop = new AbortController();
  const running = runLoops(services, projector, publishers, stop.signal);
  log.info({ url: http.url, epoch: services.epoch }, "control is up");
  return {
    url: http.url,
    async close() {
      stop.abort();
      await http.close();
      await link.close();
      await running;
      await services.pulses.save(database);
      await services.witnesses.save(database);
      await appender.close();
      await database.close();
      log.info({}, "control has stopped");
    },
  };
}

async function createServices(
  database: Database,
  options: ControlOptions,
  { signingKey, authority }: { signingKey: SigningKey; authority: Authority | undefined },
): Promise<Omit<Services, "link" | "appender" | "projections" | "past"> & { link: LateLink }> {
  const { log = SILENT, clock = { now: () => new Date() }, agentEndpoints = [] } = options;
  const login = { urls: options.natsUrls, authority };
  const openLink =
    options.openLink ?? ((linkIn: LinkIn) => createControlLink({ login, signingKey, log }, linkIn));
  const pulses = new Pulses();
  await pulses.load(database);
  const guarded = new Protected(agentEndpoints);
  await guarded.load(database);
  const keys = { [signingKey.kid]: signingKey.publicKey };
  const witnesses = new Witnesses();
  const signers = signersOf(keys, await successionsSaid(database.db));
  await witnesses.load(database, signers);
  return {
    database,
    link: lateLink(openLink),
    clock,
    ids: options.ids ?? randomIds,
    log,
    epoch: await currentEpoch(database),
    timings: { ...TIMINGS, ...options.timings },
    enrolment: {
      keys,
      natsUrls: options.agentNatsUrls ?? options.natsUrls,
      control: agentEndpoints,
      ...(authority && {
        issueJwt: (server: string, key: string) => agentJwt(authority, server, key),
        issueCredentials: (consumer: string) => readerCredentials(authority, consumer),
      }),
    },
    signers,
    sign: (domain, value) => signMessage(signingKey, domain, value),
    compile,
    parsePolicy,
    queue: new KeyedQueue(),
    listening: createListening(clock),
    hub: new Hub(),
    documents: new Documents(parsePolicy),
    pulses,
    witnesses,
    hits: createHitBook(database),
    protected: guarded,
    books: new ListBooks(),
    deadlines: new Map(),
    compiled: new Map(),
  };
}
