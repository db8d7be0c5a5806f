import { messageOf } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import type { Culprit } from "@sluice/proto/wire/report";
import type { Standing } from "../converge/parts.ts";
import { type Checked, check } from "../drift/check.ts";
import { type Contention, createContention } from "../drift/contention.ts";
import type { Look } from "../drift/watch.ts";
import type { DriverName } from "../drivers/driver.ts";
import type { AgentParts } from "./agent-parts.ts";
import { createDriftReports, type DriftReportsOptions } from "./drift-reports.ts";
import { createListLooks, type ListLooksOptions } from "./list-looks.ts";
import { createSetPolls, type SetPollsOptions } from "./set-polls.ts";
import type { Turns } from "./turns.ts";

/**
 * Looks for drift when told to, mends it where the manifest says so, and tells control.
 *
 * 1. One look at a time, never during a change; looks that come meanwhile are one look after it.
 * 2. What was repaired is told each time, what stays is told once, until it changes.
 * 3. While paused it looks and tells, and mends nothing.
 */
export interface DriftDuty {
  look(look: Look): void;
  /** Now, in turn. */
  lookNow(how: LookHow): Promise<Checked | undefined>;
  /** The same within the caller's turn: nobody else looks between what it did and this. */
  lookHere(how: LookHow): Promise<Checked | undefined>;
  /** What is held can't be looked for at all. */
  cannotLook(generation: number, reason: string): Promise<void>;
  /** what stands otherwise than wanted, as of the last look */
  differences(): readonly Difference[];
  isContended(): boolean;
  /** Tells what is still to be told. */
  close(): Promise<void>;
}

interface LookHow {
  /** overrides the manifest's policy */
  repair: boolean | "policy";
  tell: boolean;
}

export interface DriftDutyOptions extends Pick<DriftReportsOptions, "trail" | "report" | "lastHeard"> {
  parts: AgentParts;
  turns: Turns;
  standing(): Standing | undefined;
  isPaused(): boolean;
  /** what a boot is to bring back was written once; until then it isn't missing because of anybody */
  isFilled(): boolean;
  lists: Pick<ListLooksOptions, "members" | "isKnown" | "written"> & Pick<SetPollsOptions, "saw">;
  /** a repair was written */
  onWritten(): void;
  /** kernel objects whose changes nobody tells of */
  polled: readonly DriverName[];
  contention: { limit: number; windowMs: number };
}

export function createDriftDuty(options: DriftDutyOptions): DriftDuty {
  const { parts, turns } = options;
  const contention: Contention = createContention(options.contention);
  const polls = createSetPolls({
    headers: parts.setHeaders,
    saw: options.lists.saw,
    nowMs: parts.clock.nowMs,
  });
  const listLooks = createListLooks({ ...options.lists, counts: polls.counts, nowMs: parts.clock.nowMs });
  const reports = createDriftReports({ ...options, nowMs: parts.clock.nowMs, log: parts.log, since: now() });
  let waiting: Look | undefined;
  let differences: Difference[] = [];
  let mayWriteUnseen = true;

  async function work(
    look: Look,
    repair: boolean | "policy",
    { tell, isAsked = false }: { tell: boolean; isAsked?: boolean },
  ): Promise<Checked | undefined> {
    const standing = options.standing();
    const isPaused = options.isPaused();
    const only = await driversFor(look);
    if (standing === undefined || only?.length === 0) return undefined;
    const sinceMs = look.heardMs ?? parts.clock.nowMs();
    const began = now();
    const wantsRepair = repair === "policy" ? standing.manifest.drift === "repair" : repair;
    const how = wantsRepair && !isPaused ? { contention, unseen: mayWriteUnseen } : undefined;
    const looksAtSets = only?.includes("ipset") ?? true;
    let checked: Checked;
    try {
      const target = looksAtSets ? await listLooks.fresh(standing.target, isAsked) : standing.target;
      checked = await check(parts, { target, want: standing.want }, { only, repair: how });
      for (const { live } of target.sets) live?.look.end();
    } catch (error) {
      await failed(standing.issue.generation, error, look.by);
      return undefined;
    }
    if (checked.writes > 0) options.onWritten();
    const looked = { generation: standing.issue.generation, look, checked, sinceMs };
    // a chain that uses a set that went as well: only all drivers together can mend it
    if (checked.faults.length > 0 && only !== undefined) {
      if (tell) await reports.repaired(looked);
      return await work({ ...look, why: "full" }, repair, { tell, isAsked });
    }
    // what is still unreadable stands among what is foreign: writing ours again would only reset its counters
    if (only === undefined) mayWriteUnseen = !checked.faults.some(({ isRefused }) => isRefused);
    const others = differences.filter(({ driver }) => only !== undefined && !only.includes(driver));
    differences = [...others, ...checked.left];
    if (tell) await reports.all(looked, differences);
    if (only?.includes("iptables") ?? true) reports.sawTables(began);
    return checked;
  }

  function lookHere({ repair, tell }: LookHow): Promise<Checked | undefined> {
    return work({ why: "full" }, repair, { tell, isAsked: true });
  }

  function now() {
    return { wallMs: parts.clock.wall().getTime(), monotonicMs: parts.clock.nowMs() };
  }

  /** undefined: all of them */
  async function driversFor({ why }: Look): Promise<readonly DriverName[] | undefined> {
    switch (why) {
      case "full":
        return undefined;
      case "event":
        return TOLD_BY_EVENTS;
      case "poll":
        return (await polls.mayHaveChanged())
          ? options.polled
          : options.polled.filter((name) => name !== "ipset");
    }
  }

  /** Nobody knows how anything stands: that isn't "no difference". */
  async function failed(generation: number, error: unknown, by?: Culprit): Promise<void> {
    const reason = messageOf(error);
    differences = [{ driver: "iptables", object: "everything", kind: "changed", have: [reason] }];
    await reports.failed({ generation, differences, reason, by });
  }

  return {
    look(look) {
      if (waiting !== undefined) {
        waiting = merge(waiting, look);
        return;
      }
      waiting = look;
      const looking = turns.take(async () => {
        const now = waiting;
        waiting = undefined;
        const isEarly = !options.isFilled() && !options.isPaused();
        if (now !== undefined && !isEarly) await work(now, "policy", { tell: true });
      });
      looking.catch((error) => parts.log("drift was not looked for", { reason: messageOf(error) }));
    },
    lookNow: (how) => turns.take(() => lookHere(how)),
    lookHere,
    cannotLook: failed,
    differences: () => differences,
    isContended: () => contention.contended(parts.clock.nowMs()).length > 0,
    close: reports.close,
  };
}

/** What `nft monitor` and `tc monitor` tell of. */
const TOLD_BY_EVENTS: readonly DriverName[] = ["iptables", "tc"];

function merge(a: Look, b: Look): Look {
  const why = a.why === b.why ? a.why : "full";
  return { why, by: b.by ?? a.by, heardMs: a.heardMs ?? b.heardMs };
}
