import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { Database, Sql } from "../connect.ts";
import { backOff, codeOf, isBroken, isPassing } from "../faults.ts";
import { type Logger, silent } from "../logger.ts";
import { appendBatch, type BatchVerdict, type PreparedCommand } from "./append-batch.ts";
import { type NewEvent, prepareEvent } from "./event-body.ts";
import { saltSource } from "./salts.ts";

/**
 * Appending to the event log, by group commit.
 *
 * Promises
 * 1. A command is stored whole or not at all, at the stream version it expected; else it is told its conflict.
 * 2. Its verdict is its own: no conflict, fault or bad event of a neighbour in the batch reaches it.
 * 3. Events are known by their ids: a command sent again is answered with the seqs it has, never stored twice.
 * 4. seq is gapless and is also the order of commits: who reads on by `seq > last` misses nothing.
 * 5. Who is told "stored" can count on it; who gets OutcomeUnknown can send the same ids again and will know;
 *    any other error means that nothing was stored.
 *
 * How: one batch is in flight per process; what arrives meanwhile makes the next one. A batch is one call of
 * `append_batch`, one round trip. The next batch is sent before the callers of the last one are answered, and of many
 * commands only half go into a batch: so callers make their next commands while Postgres is busy with the other half,
 * instead of each side waiting for the other. When the connection breaks or hangs, its commands go back to the front
 * of the queue and are sent again (promise 3 makes that harmless) until they are decided or their time is up.
 *
 * Never: hold the head row from Node; send a second batch while the first is undecided on a live connection;
 * give an event a new id when sending it again.
 */
export interface AppendCommand {
  stream: string;
  /** The stream's version as the decision saw it: the number of its events, 0 for a new stream. */
  expected: number;
  events: readonly NewEvent[];
}

export type AppendVerdict =
  | { outcome: "stored"; seqs: number[]; version: number; repeated: boolean }
  | { outcome: "conflict"; actual: number };

/** The connection was lost and Postgres stayed away: the command may have been stored or not. */
export class OutcomeUnknown extends SluiceError {
  constructor(stream: string, cause: unknown) {
    super("UNAVAILABLE", `whether the command on ${stream} was stored isn't known: the database went away`, {
      cure: "send the same command with the same event ids again: it is never stored twice",
      cause,
    });
    this.name = "OutcomeUnknown";
  }
}

export interface AppenderOptions {
  maxCommands?: number;
  maxBytes?: number;
  maxQueued?: number;
  /** After this long without an answer the connection is given up. */
  attemptTimeoutMs?: number;
  /** After this long a command that can't be decided is given back. */
  decideWithinMs?: number;
  newSalt?: () => Buffer;
  log?: Logger;
}

interface Waiting {
  command: PreparedCommand;
  ids: readonly string[];
  bytes: number;
  deadline: number;
  /** An attempt was under way when its connection broke. */
  undecided: boolean;
  resolve(verdict: AppendVerdict): void;
  reject(error: Error): void;
}

interface Fault {
  error: unknown;
  again: readonly Waiting[];
}

/** What came of a batch: callers to be answered, and commands that a passing fault left undecided. */
interface Attempt {
  answers: readonly (() => void)[];
  fault?: Fault;
}

/** Fewer commands than these aren't parted into two batches: a batch costs as much as a dozen events. */
const FEWEST_IN_HALF = 16;

export class Appender {
  readonly #database: Database;
  readonly #options: Required<AppenderOptions>;
  #queue: Waiting[] = [];
  #client: Sql | undefined;
  #pump: Promise<void> | undefined;
  #closing = false;

  constructor(database: Database, options: AppenderOptions = {}) {
    this.#database = database;
    this.#options = {
      maxCommands: 64,
      maxBytes: 4 * 1024 * 1024,
      maxQueued: 10_000,
      attemptTimeoutMs: 15_000,
      decideWithinMs: 30_000,
      newSalt: saltSource(),
      log: silent,
      ...options,
    };
  }

  async append({ stream, expected, events }: AppendCommand): Promise<AppendVerdict> {
    if (events.length === 0) throw new SluiceError("INVALID", `a command on ${stream} has no events`);
    if (!Number.isInteger(expected) || expected < 0) {
      throw new SluiceError("INVALID", `${expected} can't be the version of ${stream}`);
    }
    const prepared = events.map((event, i) =>
      prepareEvent(event, stream, expected + i + 1, this.#options.newSalt),
    );
    const ids = events.map(({ id }) => id);
    if (new Set(ids).size < ids.length)
      throw new SluiceError("INVALID", `two events on ${stream} have the same id`);
    if (this.#closing) throw new SluiceError("UNAVAILABLE", "the event log is closing: nothing was stored");
    if (this.#queue.length >= this.#options.maxQueued) {
      throw new SluiceError("UNAVAILABLE", "too many commands wait for the event log: nothing was stored");
    }
    const bytes = prepared.reduce((sum, { body }) => sum + body.length, 0);
    const deadline = performance.now() + this.#options.decideWithinMs;
    return new Promise<AppendVerdict>((resolve, reject) => {
      const command = { stream, events: prepared };
      this.#queue.push({ command, ids, bytes, deadline, undecided: false, resolve, reject });
      this.#pump ??= this.#run();
    });
  }

  /** Takes no more commands, lets those that wait be decided, closes the connection. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#pump;
    await this.#client?.end({ timeout: 1 });
    this.#client = undefined;
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what arrives in the same tick shares the first batch
    for (let failures = 0; this.#queue.length > 0; ) {
      const { answers, fault } = await this.#attempt(this.#takeBatch());
      if (this.#queue.length > 0 && fault === undefined) {
        setImmediate(answerAll, answers); // the next batch is on its way by then
      } else {
        answerAll(answers);
      }
      if (fault === undefined) {
        failures = 0;
        continue;
      }
      failures += 1;
      this.#options.log.warn(
        { code: codeOf(fault.error), commands: fault.again.length, failures },
        "appending again",
      );
      this.#queue.unshift(...fault.again);
      this.#giveBackOverdue(fault.error);
      if (this.#queue.length > 0) await backOff(failures, 1_000);
    }
    this.#pump = undefined;
  }

  #takeBatch(): Waiting[] {
    const half = Math.max(FEWEST_IN_HALF, Math.ceil(this.#queue.length / 2));
    const most = Math.min(half, this.#options.maxCommands);
    const ids = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes;
      const full = count === most || bytes > this.#options.maxBytes;
      // the same ids again: the next batch will find them stored
      if (count > 0 && (full || waiting.ids.some((id) => ids.has(id)))) break;
      for (const id of waiting.ids) ids.add(id);
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #attempt(batch: readonly Waiting[]): Promise<Attempt> {
    try {
      const verdicts = await this.#send(batch.map(({ command }) => command));
      return { answers: batch.map((waiting, i) => () => settle(waiting, verdicts[i])) };
    } catch (error) {
      if (isPassing(error)) {
        if (isBroken(error)) for (const waiting of batch) waiting.undecided = true;
        return { answers: [], fault: { error, again: batch } };
      }
      const [only] = batch;
      if (batch.length > 1 || only === undefined) return this.#attemptEach(batch);
      const { command, undecided, reject } = only;
      const refusal = undecided ? new OutcomeUnknown(command.stream, error) : notStorable(only, error);
      return { answers: [() => reject(refusal)] };
    }
  }

  /** Something in the batch can't be stored: each goes by itself, so that only that one hears of it. */
  async #attemptEach(batch: readonly Waiting[]): Promise<Attempt> {
    const answers: (() => void)[] = [];
    for (const [index, waiting] of batch.entries()) {
      const attempt = await this.#attempt([waiting]);
      answers.push(...attempt.answers);
      if (attempt.fault) return { answers, fault: { ...attempt.fault, again: batch.slice(index) } };
    }
    return { answers };
  }

  async #send(commands: readonly PreparedCommand[]): Promise<BatchVerdict[]> {
    const { attemptTimeoutMs } = this.#options;
    this.#client ??= this.#database.client({
      max: 1,
      name: "sluice-append",
      statementTimeoutMs: Math.ceil(attemptTimeoutMs * 0.8),
    });
    const client = this.#client;
    // ending the client rejects what hangs on it with CONNECTION_DESTROYED
    const timer = setTimeout(() => {
      this.#client = undefined;
      void client.end({ timeout: 0 });
    }, attemptTimeoutMs);
    try {
      return await appendBatch(client, commands);
    } finally {
      clearTimeout(timer);
    }
  }

  #giveBackOverdue(cause: unknown): void {
    const now = performance.now();
    const overdue = this.#queue.filter(({ deadline }) => deadline <= now);
    this.#queue = this.#queue.filter(({ deadline }) => deadline > now);
    for (const { command, undecided, reject } of overdue) {
      if (undecided) reject(new OutcomeUnknown(command.stream, cause));
      else reject(notStored(command.stream, cause));
    }
  }
}

function answerAll(answers: readonly (() => void)[]): void {
  for (const answer of answers) answer();
}

function settle({ command, resolve, reject }: Waiting, given: BatchVerdict | undefined): void {
  const { stream } = command;
  switch (given?.verdict) {
    case "stored":
    case "repeated": {
      const { verdict, seqs, version } = given;
      resolve({ outcome: "stored", seqs, version, repeated: verdict === "repeated" });
      return;
    }
    case "conflict":
      resolve({ outcome: "conflict", actual: given.version });
      return;
    case "reused":
      reject(new SluiceError("INVALID", `an event id of the command on ${stream} belongs to another event`));
      return;
    case undefined:
      reject(new SluiceError("INTERNAL", `the command on ${stream} got no verdict`));
  }
}

function notStorable({ command }: Waiting, cause: unknown): SluiceError {
  const message = `the command on ${command.stream} can't be stored: ${messageOf(cause)}`;
  return new SluiceError("INTERNAL", message, { cause });
}

function notStored(stream: string, cause: unknown): SluiceError {
  return new SluiceError("UNAVAILABLE", `the database is away: the command on ${stream} was not stored`, {
    cure: "try again when Postgres answers",
    cause,
  });
}
