import { messageOf } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import type { Culprit, ReportBody } from "@sluice/proto/wire/report";
import type { Standing } from "../converge/parts.ts";
import type { AuditTrail, TableOfFamily } from "../drift/audit-trail.ts";
import { type Checked, check, type Fault } from "../drift/check.ts";
import { type Contention, createContention } from "../drift/contention.ts";
import { createPace, type DriftReport, TOLD_MAX } from "../drift/pace.ts";
import type { Look } from "../drift/watch.ts";
import type { DriverName } from "../drivers/driver.ts";
import type { AgentParts } from "./agent-parts.ts";
import { createListLooks, type ListLooksOptions } from "./list-looks.ts";
import { readFills, type SetFill } from "./set-fill.ts";
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
  /** Now, in turn. `repair` overrides the manifest's policy. */
  lookNow(options: { repair: boolean | "policy"; tell: boolean }): Promise<Checked | undefined>;
  /** What is held can't be looked for at all. */
  cannotLook(generation: number, reason: string): Promise<void>;
  /** what stands otherwise than wanted, as of the last look */
  differences(): readonly Difference[];
  isContended(): boolean;
  /** Tells what is still to be told. */
  close(): Promise<void>;
}

export interface DriftDutyOptions {
  parts: AgentParts;
  turns: Turns;
  standing(): Standing | undefined;
  isPaused(): boolean;
  lists: Pick<ListLooksOptions, "members" | "isKnown" | "written"> & {
    saw(fills: ReadonlyMap<string, SetFill>): void;
  };
  trail: AuditTrail;
  report(body: ReportBody): Promise<void>;
  /** who was told to have changed something since, on the monotonic clock */
  lastHeard(sinceMs: number): Culprit | undefined;
  /** a repair was written */
  onWritten(): void;
  /** kernel objects whose changes nobody tells of */
  polled: readonly DriverName[];
  contention: { limit: number; windowMs: number };
}

type DriftHead = Pick<DriftReport, "kind" | "generation" | "by" | "detectedMs">;

/** Reports at once, and how often one more. */
const REPORTS_BURST = 20;
const REPORT_EVERY_MS = 3_000;

/** a million are counted in some 20 ms: a thousandth of the time at most */
const POLL_MS_PER_MEMBER = 0.02;

export function createDriftDuty(options: DriftDutyOptions): DriftDuty {
  const { parts, turns } = options;
  const contention: Contention = createContention(options.contention);
  const listLooks = createListLooks({ ...options.lists, counts: setCounts, nowMs: parts.clock.nowMs });
  const pace = createPace({
    send: options.report,
    ...{ burst: REPORTS_BURST, everyMs: REPORT_EVERY_MS, nowMs: parts.clock.nowMs, log: parts.log },
  });
  let waiting: Look | undefined;
  let differences: Difference[] = [];
  let told = "";
  let setHeaders = "";
  let setsPolledAtMs = Number.NEGATIVE_INFINITY;
  /** of all sets together */
  let members = 0;
  let mayWriteUnseen = true;
  /** when the last look at the tables began */
  let tablesSeen = now();

  async function work(
    look: Look,
    repair: boolean | "policy",
    { tell, isAsked = false }: { tell: boolean; isAsked?: boolean },
  ): Promise<Checked | undefined> {
    const standing = options.standing();
    const only = await driversFor(look);
    if (standing === undefined || only?.length === 0) return undefined;
    const sinceMs = look.heardMs ?? parts.clock.nowMs();
    const began = now();
    const wantsRepair = repair === "policy" ? standing.manifest.drift === "repair" : repair;
    const how = wantsRepair && !options.isPaused() ? { contention, unseen: mayWriteUnseen } : undefined;
    const looksAtSets = only?.includes("ipset") ?? true;
    let checked: Checked;
    try {
      const target = looksAtSets ? await listLooks.fresh(standing.target, isAsked) : standing.target;
      checked = await check(parts, { target, want: standing.want }, { only, repair: how });
      for (const { live } of target.sets) live?.look.end();
    } catch (error) {
      await failed(look, standing.issue.generation, error);
      return undefined;
    }
    if (checked.writes > 0) options.onWritten();
    // a chain that uses a set that went as well: only all drivers together can mend it
    if (checked.faults.length > 0 && only !== undefined) {
      if (tell) await reportRepaired(standing, look, checked, sinceMs);
      return await work({ ...look, why: "full" }, repair, { tell, isAsked });
    }
    // what is still unreadable stands among what is foreign: writing ours again would only reset its counters
    if (only === undefined) mayWriteUnseen = !checked.faults.some(({ isRefused }) => isRefused);
    const others = differences.filter(({ driver }) => only !== undefined && !only.includes(driver));
    differences = [...others, ...checked.left];
    if (tell) await report(standing, look, checked, sinceMs);
    if (only?.includes("iptables") ?? true) tablesSeen = began;
    return checked;
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
        return (await setsMayHaveChanged())
          ? options.polled
          : options.polled.filter((name) => name !== "ipset");
    }
  }

  /**
   * One cheap command: the headers of all sets, with their numbers of entries. Those of sets with lifetimes are counted
   * by the kernel each time, so large ones aren't asked for at every poll.
   */
  async function setsMayHaveChanged(): Promise<boolean> {
    const nowMs = parts.clock.nowMs();
    if (nowMs - setsPolledAtMs < members * POLL_MS_PER_MEMBER) return false;
    setsPolledAtMs = nowMs;
    const { code, stdout } = await parts.live.run("ipset", ["list", "-t"], { timeoutMs: 10_000 });
    const changed = code !== 0 || stdout !== setHeaders;
    setHeaders = stdout;
    return changed;
  }

  async function setCounts(): Promise<ReadonlyMap<string, number>> {
    const fills = await readFills(parts.live);
    options.lists.saw(fills);
    members = [...fills.values()].reduce((sum, { entries }) => sum + entries, 0);
    return new Map([...fills].map(([name, { entries }]) => [name, entries]));
  }

  async function report(standing: Standing, look: Look, checked: Checked, sinceMs: number): Promise<void> {
    const drift = await reportRepaired(standing, look, checked, sinceMs);
    const { contended, faults } = checked;
    const key = JSON.stringify([
      differences.map(({ object, kind }) => [object, kind]),
      contended,
      faults.map(({ reason }) => reason),
      drift.generation,
    ]);
    const isNews = differences.length > 0 && key !== told;
    told = key;
    if (!isNews) return;
    const reason = reasonFor(contended, faults);
    parts.log("drift", { objects: namesOf(differences), ...(drift.by && { by: drift.by }), ...reason });
    await pace.tell({
      ...drift,
      differences: differences.slice(0, TOLD_MAX),
      action: faults.length > 0 ? "failed" : "reported",
      ...reason,
    });
  }

  /** What this look has mended; gives back what every report of it says. */
  async function reportRepaired(standing: Standing, look: Look, checked: Checked, sinceMs: number) {
    const { left, writes, seenMs } = checked;
    const { generation } = standing.issue;
    const by = await culprit(look.by, checked.differences);
    const detected = look.heardMs === undefined ? {} : { detectedMs: round(seenMs - sinceMs) };
    const drift: DriftHead = { kind: "drift", generation, ...by, ...detected };
    const repaired = checked.differences.filter((one) => !left.some((other) => sameObject(one, other)));
    if (writes > 0 && repaired.length > 0) {
      const repairedMs = round(parts.clock.nowMs() - sinceMs);
      parts.log("drift repaired", { objects: namesOf(repaired), ...by, ...detected, repairedMs });
      await pace.tell({
        ...drift,
        differences: repaired.slice(0, TOLD_MAX),
        action: "repaired",
        repairedMs,
      });
    }
    return drift;
  }

  /** As the kernel told, with what the audit records add to it: for legacy tables they are all there is. */
  async function culprit(told: Culprit | undefined, found: readonly Difference[]): Promise<{ by?: Culprit }> {
    const tables = found.flatMap(({ object }) => tableOf(object) ?? []);
    if (tables.length === 0) return isEmptyObject(told) ? {} : { by: told };
    // a look that was begun for another reason may see what somebody did before it is told who
    const heard = told?.pid === undefined ? options.lastHeard(tablesSeen.monotonicMs) : told;
    const recorded = await options.trail.whoChanged({ pid: heard?.pid, tables, sinceMs: tablesSeen.wallMs });
    const by = { ...recorded, ...heard };
    return isEmptyObject(by) ? {} : { by };
  }

  /** Nobody knows how anything stands: that isn't "no difference". */
  async function failed(look: Partial<Look>, generation: number, error: unknown): Promise<void> {
    const reason = messageOf(error);
    differences = [{ driver: "iptables", object: "everything", kind: "changed", have: [reason] }];
    if (reason === told) return;
    told = reason;
    parts.log("drift could not be looked for", { reason });
    const by = isEmptyObject(look.by) ? {} : { by: look.by };
    await pace.tell({ kind: "drift", generation, differences, action: "failed", reason, ...by });
  }

  return {
    look(look) {
      if (waiting !== undefined) {
        waiting = merge(waiting, look);
        return;
      }
      waiting = look;
      void turns.take(async () => {
        const now = waiting;
        waiting = undefined;
        if (now !== undefined) await work(now, "policy", { tell: true });
      });
    },
    lookNow: ({ repair, tell }) => turns.take(() => work({ why: "full" }, repair, { tell, isAsked: true })),
    cannotLook: (generation, reason) => failed({}, generation, reason),
    differences: () => differences,
    isContended: () => contention.contended(parts.clock.nowMs()).length > 0,
    close: pace.close,
  };
}

/** What `nft monitor` and `tc monitor` tell of. */
const TOLD_BY_EVENTS: readonly DriverName[] = ["iptables", "tc"];

function merge(a: Look, b: Look): Look {
  const why = a.why === b.why ? a.why : "full";
  return { why, by: b.by ?? a.by, heardMs: a.heardMs ?? b.heardMs };
}

function reasonFor(contended: readonly string[], faults: readonly Fault[]): { reason?: string } {
  const reasons = faults.map(({ reason }) => reason);
  if (contended.length > 0)
    reasons.push(`another tool keeps changing ${contended.join(", ")}: left alone for now`);
  return reasons.length === 0 ? {} : { reason: [...new Set(reasons)].join("; ") };
}

function namesOf(differences: readonly Difference[]): string[] {
  return differences.map(({ object }) => object);
}

function isEmptyObject(value: object | undefined): value is undefined {
  return value === undefined || Object.keys(value).length === 0;
}

/** `ip4/filter/INPUT` → IPv4's filter table */
function tableOf(object: string): TableOfFamily | undefined {
  const [, family, table] = /^ip([46])\/(\w+)\//.exec(object) ?? [];
  return table === undefined ? undefined : { family: family === "6" ? 6 : 4, table };
}

function sameObject(a: Difference, b: Difference): boolean {
  return a.driver === b.driver && a.object === b.object;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
