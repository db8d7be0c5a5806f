import { SluiceError } from "@sluice/proto/base/errors";
import type { Database } from "../connect.ts";
import { isPassing } from "../faults.ts";
import { follow } from "../log/follow.ts";
import { readStretch } from "../log/read.ts";
import type { Upcast } from "../log/upcast-events.ts";
import { type Logger, silent } from "../logger.ts";
import { applyPage, applySingly } from "./apply.ts";
import { lockCheckpoint, moveCheckpoint, readCheckpoint } from "./checkpoint.ts";
import type { Projection } from "./projection.ts";

/**
 * Runs projections (projection.ts).
 *
 * 1. An event's rows and the checkpoint move in one transaction: each event is applied once, whatever dies.
 * 2. Any number of processes may run the same projection: the checkpoint row is locked, so one applies at a time.
 * 3. Events of unknown types are skipped. One that can't be read or applied stops its projection exactly before it
 *    (ProjectionStopped); the others go on.
 * 4. Tables may be swapped for others that were made beside them (rebuild.ts): their checkpoint moves with them.
 */
export interface ProjectorOptions {
  projections: readonly Projection[];
  upcast: Upcast;
  /** Events per transaction. */
  batchSize?: number;
  log?: Logger;
}

export class Projector {
  readonly #database: Database;
  readonly #projections: readonly Projection[];
  readonly #upcast: Upcast;
  readonly #batchSize: number;
  readonly #log: Logger;
  readonly #running = new Map<string, Promise<number>>();
  readonly #queued = new Map<string, Promise<number>>();

  constructor(database: Database, { projections, upcast, batchSize = 200, log = silent }: ProjectorOptions) {
    this.#database = database;
    this.#projections = projections;
    this.#upcast = upcast;
    this.#batchSize = batchSize;
    this.#log = log;
    const names = projections.map(({ name }) => name);
    if (new Set(names).size < names.length) throw new Error("two projections have the same name");
  }

  /** Applies everything up to now. A projection that stops doesn't keep the others from going on. */
  async catchUp(): Promise<void> {
    await this.#each((projection) => this.#catchUp(projection));
  }

  /** Returns when every projection (or the one named) has applied this event: read what you have just written. */
  async waitFor(seq: number, name?: string): Promise<void> {
    const wanted = name === undefined ? this.#projections : [this.#named(name)];
    await this.#each(async (projection) => {
      if ((await readCheckpoint(this.#database.db, projection.name)) >= seq) return;
      const position = await this.#catchUp(projection);
      if (position < seq) throw new Error(`event ${seq} isn't in the log, which ends at ${position}`);
    }, wanted);
  }

  /** Keeps the projections up with the log until the signal; rejects when one stops. */
  async follow(signal: AbortSignal): Promise<void> {
    await follow(this.#database, () => this.catchUp(), { signal, log: this.#log });
  }

  /**
   * One run per projection at a time in this process. Every caller gets a run that began after it asked, so that
   * what it knows of is in it; those that ask during a run share the next one. Returns the position.
   */
  #catchUp(projection: Projection): Promise<number> {
    const { name } = projection;
    const queued = this.#queued.get(name);
    if (queued) return queued;
    const running = this.#running.get(name);
    if (!running) return this.#start(projection);
    const next = running
      .catch(() => {})
      .then(() => {
        this.#queued.delete(name);
        return this.#start(projection);
      });
    this.#queued.set(name, next);
    return next;
  }

  #start(projection: Projection): Promise<number> {
    const run = this.#applyAll(projection).finally(() => this.#running.delete(projection.name));
    this.#running.set(projection.name, run);
    return run;
  }

  async #applyAll(projection: Projection): Promise<number> {
    for (;;) {
      const { position, isLast } = await this.#applyNext(projection).catch((error: unknown) => {
        if (isPassing(error)) throw error;
        return this.#applyNext(projection, { singly: true });
      });
      if (isLast) return position;
    }
  }

  async #applyNext(
    projection: Projection,
    { singly = false } = {},
  ): Promise<{ position: number; isLast: boolean }> {
    const { name, types } = projection;
    const { stoppedBy, ...reached } = await this.#database.db.transaction(async (tx) => {
      const after = await lockCheckpoint(tx, name);
      const { events, upTo, isLast } = await readStretch(tx, { after, span: this.#batchSize, types });
      const stoppedBy = singly ? await applySingly(tx, projection, events, this.#upcast) : undefined;
      if (!singly) await applyPage(tx, projection, events, this.#upcast);
      const position = stoppedBy === undefined ? upTo : stoppedBy.seq - 1;
      if (position > after) await moveCheckpoint(tx, name, position);
      return { position, isLast, stoppedBy };
    });
    if (stoppedBy) throw stoppedBy;
    return reached;
  }

  #named(name: string): Projection {
    const projection = this.#projections.find((candidate) => candidate.name === name);
    if (!projection) throw new SluiceError("NOT_FOUND", `there is no projection ${name}`);
    return projection;
  }

  async #each(run: (projection: Projection) => Promise<unknown>, wanted = this.#projections): Promise<void> {
    const results = await Promise.allSettled(wanted.map(run));
    const reasons = results.filter((result) => result.status === "rejected").map(({ reason }) => reason);
    if (reasons.length > 0) throw reasons.find((reason) => !isPassing(reason)) ?? reasons[0];
  }
}
