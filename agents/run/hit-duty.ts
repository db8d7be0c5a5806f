import { randomUUID } from "node:crypto";
import { messageOf } from "@sluice/proto/base/errors";
import { HITS_CHUNK, type Hits } from "@sluice/proto/wire/hits";
import type { Log, Standing } from "../converge/parts.ts";
import type { Script } from "../drivers/driver.ts";
import { countersIn } from "../drivers/iptables/carry.ts";
import { type Counters, readCounters, tableOfScript } from "../drivers/iptables/counters.ts";
import { isIptablesSnapshot } from "../drivers/iptables/snapshot.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { createTally, type SavedTally, type Tallied } from "../hits/tally.ts";
import { bootId } from "../state/process-id.ts";
import { type RecordFile, readOr } from "../state/record-file.ts";
import type { Turns } from "./turns.ts";

/**
 * Counts what rules match, and tells control.
 *
 * 1. Every `everyMs`, less often where reading takes long; before and after a change; and when asked.
 * 2. Only what changed since control took it is sent, in chunks, one after the other; what control didn't take is sent
 *    next time. Sums, so nothing waits on the disk for a control that is away.
 * 3. Sums are kept over restarts. A disk that is full costs what was counted since it was.
 */
export interface HitDuty {
  /** reads and sends now, in turn */
  count(): Promise<void>;
  /** reads now, within a turn: what stands is about to change */
  read(): Promise<void>;
  /** a script was written to the live kernel */
  wrote(script: Script): void;
  close(): Promise<void>;
}

export interface HitDutyOptions {
  live: Namespace;
  backend: IptablesBackend;
  turns: Turns;
  file: RecordFile<SavedTally>;
  standing(): Standing | undefined;
  /** something is held from before this agent started */
  holdsFromBefore: boolean;
  send(hits: Omit<Hits, "v" | "server">): Promise<void>;
  connected(): boolean;
  clock: { nowMs(): number; wall(): Date };
  everyMs: number;
  log: Log;
}

/** A read that takes longer makes the next one wait longer: of a minute, it is a thousandth. */
const READ_MS = 60;

export async function openHitDuty(options: HitDutyOptions): Promise<HitDuty> {
  const { turns, clock, log, file } = options;
  const saved = await readOr(file, (reason) => log("counts of rules are lost", { reason }));
  const isLost = saved === undefined && options.holdsFromBefore;
  const tally = createTally({ boot: bootId(), saved, isLost, newCounter: randomUUID });
  const taken = new WeakMap<Tallied, Map<string, number>>();
  let keptText = JSON.stringify(tally.saved());
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let tookMs = 0;
  let sending: Promise<void> = Promise.resolve();

  async function read(): Promise<void> {
    const standing = options.standing();
    const want = standing?.want.get("iptables");
    if (standing === undefined || !isIptablesSnapshot(want)) return;
    const beganMs = clock.nowMs();
    let counters: Counters;
    try {
      counters = await readCounters(options.live, options.backend);
    } catch (error) {
      log("rules could not be counted", { reason: messageOf(error) });
      return;
    }
    tookMs = clock.nowMs() - beganMs;
    tally.read(standing.manifest, want, counters, clock.wall().toISOString());
    await keep();
  }

  async function keep(): Promise<void> {
    const next = tally.saved();
    const text = JSON.stringify(next);
    if (text === keptText) return;
    try {
      await file.write(next);
      keptText = text;
    } catch (error) {
      log("counts of rules could not be kept", { reason: messageOf(error) });
    }
  }

  async function send(): Promise<void> {
    if (!options.connected()) return;
    const held = options.standing()?.manifest.policies;
    for (const tallied of tally.revisions()) {
      const { counter, policy, revision, since, counts } = tallied;
      const known = taken.get(tallied) ?? new Map<string, number>();
      taken.set(tallied, known);
      const news = [...counts].filter(([key, { packets }]) => known.get(key) !== packets);
      for (let at = 0; at < news.length; at += HITS_CHUNK) {
        const chunk = news.slice(at, at + HITS_CHUNK).map(([key, count]) => [key, { ...count }] as const);
        await options.send({ counter, policy, revision, since, counts: chunk.map(([, count]) => count) });
        for (const [key, { packets }] of chunk) known.set(key, packets);
      }
      const isHeld = held?.some((one) => one.policy === policy && one.revision === revision);
      if (isHeld === false) tally.drop(tallied);
    }
  }

  function sendInTurn(): Promise<void> {
    sending = sending.then(send).catch((error) => {
      if (!isClosed) log("counts of rules could not be told yet", { reason: messageOf(error) });
    });
    return sending;
  }

  async function count(): Promise<void> {
    await turns.take(read);
    await sendInTurn();
  }

  function schedule(): void {
    if (isClosed) return;
    timer = setTimeout(() => void count().finally(schedule), options.everyMs * Math.max(1, tookMs / READ_MS));
  }
  schedule();

  return {
    count,
    read,
    wrote(script) {
      const table = tableOfScript(script);
      if (table === undefined) return;
      for (const [, chain = ""] of script.text.matchAll(/^:(\S+)/gm))
        tally.began(`${table}/${chain}`, countersIn(script.text, chain));
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await turns.take(read);
    },
  };
}
