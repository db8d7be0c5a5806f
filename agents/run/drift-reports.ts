import type { Difference } from "@sluice/proto/manifest/difference";
import type { Culprit, ReportBody } from "@sluice/proto/wire/report";
import type { Log } from "../converge/parts.ts";
import type { AuditTrail, TableOfFamily } from "../drift/audit-trail.ts";
import type { Checked, Fault } from "../drift/check.ts";
import { createPace, type DriftReport, TOLD_MAX } from "../drift/pace.ts";
import type { Look } from "../drift/watch.ts";

/**
 * What control is told of drift: what was repaired each time, what stays once, until it changes; never more at once than
 * control can use, and with whoever did it, where that can be found out.
 */
export interface DriftReports {
  /** What this look has mended, and the differences that stay. */
  all(looked: Looked, differences: readonly Difference[]): Promise<void>;
  /** What this look has mended, and nothing of what stays. */
  repaired(looked: Looked): Promise<void>;
  failed(failure: Failure): Promise<void>;
  /** a look at the tables that began then is told of */
  sawTables(began: Moment): void;
  /** Tells what is still to be told. */
  close(): Promise<void>;
}

/** A look, and what came of it. */
export interface Looked {
  generation: number;
  look: Look;
  checked: Checked;
  /** when its cause was heard, or it began, on the monotonic clock */
  sinceMs: number;
}

interface Failure {
  generation: number;
  differences: Difference[];
  reason: string;
  by: Culprit | undefined;
}

interface Moment {
  wallMs: number;
  monotonicMs: number;
}

export interface DriftReportsOptions {
  report(body: ReportBody): Promise<void>;
  trail: AuditTrail;
  /** who was told to have changed something since, on the monotonic clock */
  lastHeard(sinceMs: number): Culprit | undefined;
  nowMs(): number;
  log: Log;
  /** before it nothing was looked at */
  since: Moment;
}

type DriftHead = Pick<DriftReport, "kind" | "generation" | "by" | "detectedMs">;

/** Reports at once, and how often one more. */
const REPORTS_BURST = 20;
const REPORT_EVERY_MS = 3_000;

export function createDriftReports(options: DriftReportsOptions): DriftReports {
  const { log, nowMs } = options;
  const pace = createPace({
    send: options.report,
    ...{ burst: REPORTS_BURST, everyMs: REPORT_EVERY_MS, nowMs, log },
  });
  let told = "";
  /** when the last look at the tables began */
  let tablesSeen = options.since;

  /** Gives back what every report of this look says. */
  async function repaired({ generation, look, checked, sinceMs }: Looked): Promise<DriftHead> {
    const { left, writes, seenMs } = checked;
    const by = await culprit(look.by, checked.differences);
    const detected = look.heardMs === undefined ? {} : { detectedMs: round(seenMs - sinceMs) };
    const head: DriftHead = { kind: "drift", generation, ...by, ...detected };
    const mended = checked.differences.filter((one) => !left.some((other) => sameObject(one, other)));
    if (writes > 0 && mended.length > 0) {
      const repairedMs = round(nowMs() - sinceMs);
      log("drift repaired", { objects: namesOf(mended), ...by, ...detected, repairedMs });
      await pace.tell({ ...head, differences: mended.slice(0, TOLD_MAX), action: "repaired", repairedMs });
    }
    return head;
  }

  /** As the kernel told, with what the audit records add to it: for legacy tables they are all there is. */
  async function culprit(
    heard: Culprit | undefined,
    found: readonly Difference[],
  ): Promise<{ by?: Culprit }> {
    // all of them, unnamed, where they can't be read
    if (!found.some(({ driver }) => driver === "iptables")) return isEmptyObject(heard) ? {} : { by: heard };
    const tables = found.flatMap(({ object }) => tableOf(object) ?? []);
    // a look that was begun for another reason may see what somebody did before it is told who
    const who = heard?.pid === undefined ? options.lastHeard(tablesSeen.monotonicMs) : heard;
    const recorded = await options.trail.whoChanged({ pid: who?.pid, tables, sinceMs: tablesSeen.wallMs });
    const by = { ...recorded, ...who };
    return isEmptyObject(by) ? {} : { by };
  }

  return {
    async all(looked, differences) {
      const head = await repaired(looked);
      const { contended, faults } = looked.checked;
      const key = JSON.stringify([
        differences.map(({ object, kind }) => [object, kind]),
        contended,
        faults.map(({ reason }) => reason),
        head.generation,
      ]);
      const isNews = differences.length > 0 && key !== told;
      told = key;
      if (!isNews) return;
      const reason = reasonFor(contended, faults);
      log("drift", { objects: namesOf(differences), ...(head.by && { by: head.by }), ...reason });
      await pace.tell({
        ...head,
        differences: differences.slice(0, TOLD_MAX),
        action: faults.length > 0 ? "failed" : "reported",
        ...reason,
      });
    },
    async repaired(looked) {
      await repaired(looked);
    },
    async failed({ generation, differences, reason, by }) {
      if (reason === told) return;
      told = reason;
      log("drift could not be looked for", { reason });
      const known = isEmptyObject(by) ? {} : { by };
      await pace.tell({ kind: "drift", generation, differences, action: "failed", reason, ...known });
    },
    sawTables(began) {
      options.trail.settle();
      tablesSeen = began;
    },
    close: pace.close,
  };
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
