import { type EventType, isEventType, type SluiceEvent } from "@sluice/proto/events/event";
import { type ServerState, serverEntity } from "../servers/state.ts";

/**
 * Which events the service goes on to need when what came up to some event is archived: every stream that goes on is decided
 * upon as before. Pure; a new type of event says here what is true of it.
 *
 * always       a stream's state is made of it, or people will want it at hand: there are few
 * never        no state is made of it, or its state is opened from a table (lists)
 * newest       only the newest of its type counts in its stream
 * generation   as long as its server's state speaks of that generation; and what a server refused or undid last
 * until over   its stream comes to an end, and then nothing is decided upon it any more
 *
 * Beside these, the newest event of every stream that isn't over stays: it tells the stream's version.
 */
type Stay = "always" | "never" | "newest" | "generation" | "until over";

const STAY: Readonly<Record<EventType, Stay>> = {
  PolicyRevised: "always",
  PolicyRetired: "always",
  ServerAdded: "always",
  ServerEnrolled: "always",
  ServerUninstalled: "always",
  ServerLabelled: "always",
  AssignmentDecided: "generation",
  ServerProven: "never",
  ServerConfirmed: "generation",
  ServerRefused: "generation",
  ServerReverted: "generation",
  DriftDetected: "newest",
  DriftRepairAsked: "never",
  MessageRejected: "never",
  ServerPaused: "always",
  ServerResumed: "always",
  PlanRequested: "until over",
  PlanAnswered: "until over",
  PlanFinished: "until over",
  RolloutStarted: "until over",
  RolloutConfirmed: "until over",
  WaveStarted: "until over",
  RolloutCompleted: "until over",
  RolloutHalted: "until over",
  ListCreated: "never",
  ListChanged: "never",
  ListRetired: "never",
  FeedReaderAdded: "always",
  FeedReaderRemoved: "always",
  FleetFrozen: "always",
  FleetThawed: "always",
  EpochOpened: "always",
  LogArchived: "always",
  SigningKeyChanged: "always",
  ActorErased: "always",
};

/** The database lets no event of such a type go, whatever is archived (migrations/0161-what-may-go.sql). */
export function staysForEver(type: string): boolean {
  return !isEventType(type) || STAY[type] === "always";
}

const ENDS: ReadonlySet<EventType> = new Set(["PlanFinished", "RolloutCompleted", "RolloutHalted"]);

/** Of these the data is looked at, of all others the type. */
export const READ_WHOLE = [
  "AssignmentDecided",
  "ServerConfirmed",
  "ServerRefused",
  "ServerReverted",
  "ServerUninstalled",
] as const satisfies readonly EventType[];
type Whole = Extract<SluiceEvent, { type: (typeof READ_WHOLE)[number] }>;

export interface Outlined {
  seq: number;
  stream: string;
  type: string;
  /** in today's shape, where the type is one of READ_WHOLE */
  whole: Whole | undefined;
}

export function isWhole(event: SluiceEvent): event is Whole {
  return READ_WHOLE.some((type) => type === event.type);
}

export interface Keeper {
  /** The next event; all from the first on, those missing that were dropped before. */
  see(event: Outlined): void;
  /** The seqs of those that stay, ascending. */
  kept(): number[];
}

interface Stream {
  always: number[];
  newest: Map<string, number>;
  untilOver: number[];
  isOver: boolean;
  last: number;
  generations: Generations | undefined;
}

interface Generations {
  server: ServerState;
  events: { seq: number; generation: number }[];
  failure: number;
}

const ROLLOUT = "rollout-";

export function createKeeper(): Keeper {
  const streams = new Map<string, Stream>();

  function streamNamed(name: string): Stream {
    const known = streams.get(name);
    if (known !== undefined) return known;
    const stream: Stream = {
      ...{ always: [], newest: new Map(), untilOver: [], isOver: false, last: 0, generations: undefined },
    };
    streams.set(name, stream);
    return stream;
  }

  /** A server that comes back asks of a rollout it still owes an outcome to. */
  function openRollouts(): Set<string> {
    const open = [...streams.values()].flatMap(({ generations }) => generations?.server.open ?? []);
    return new Set(open.flatMap(({ rollout }) => rollout ?? []));
  }

  return {
    see({ seq, stream: name, type, whole }) {
      const stream = streamNamed(name);
      stream.last = seq;
      if (whole !== undefined) stream.generations = follow(stream.generations, seq, whole);
      if (staysForEver(type)) stream.always.push(seq);
      if (!isEventType(type)) return; // a later version may know what it is for
      if (ENDS.has(type)) stream.isOver = true;
      const stay = STAY[type];
      if (stay === "newest") stream.newest.set(type, seq);
      if (stay === "until over") stream.untilOver.push(seq);
    },

    kept() {
      const open = openRollouts();
      const seqs = new Set<number>();
      for (const [name, stream] of streams) {
        const { always, newest, untilOver, isOver, last, generations } = stream;
        const goesOn = !isOver || (name.startsWith(ROLLOUT) && open.has(name.slice(ROLLOUT.length)));
        const its = [...always, ...newest.values(), ...(generations?.events ?? []).map((one) => one.seq)];
        for (const seq of goesOn ? [...its, ...untilOver, last] : its) seqs.add(seq);
      }
      return [...seqs].sort((a, b) => a - b);
    },
  };
}

/** A generation that isn't spoken of any more never is again. */
function follow(before: Generations | undefined, seq: number, event: Whole): Generations {
  const { server, events, failure } = before ?? { server: serverEntity.initial, events: [], failure: 0 };
  const now = serverEntity.evolve(server, { ...event, seq, meta: { at: "", correlation: "" } });
  if (event.type === "ServerUninstalled") return { server: now, events, failure };
  const failed = event.type === "ServerRefused" || event.type === "ServerReverted" ? seq : failure;
  const spoken = [now.newest, now.held, now.heldBefore, ...now.open].map((one) => one?.generation);
  const all = [...events, { seq, generation: event.data.generation }];
  return {
    server: now,
    events: all.filter((one) => one.seq === failed || spoken.includes(one.generation)),
    failure: failed,
  };
}
