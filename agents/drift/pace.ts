import { messageOf } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import type { ReportBody } from "@sluice/proto/wire/report";

/**
 * Reports of drift, as fast as somebody can use them: one by one at first, in a storm some together.
 *
 * 1. `burst` at once, then one every `everyMs`; what comes between is told in the next one.
 * 2. Nothing is lost: reports of repairs told together name every object, as many as anybody reads. Of what stays, the
 *    newest report counts.
 */
export type DriftReport = Extract<ReportBody, { kind: "drift" }>;

export interface Pace {
  tell(report: DriftReport): Promise<void>;
  /** Tells what waits, now. */
  close(): Promise<void>;
}

export interface PaceOptions {
  send(report: DriftReport): Promise<void>;
  burst: number;
  everyMs: number;
  nowMs(): number;
  log(message: string): void;
}

/** More than anybody reads. */
export const TOLD_MAX = 200;

interface Waiting {
  report: DriftReport;
  times: number;
}

export function createPace({ send, burst, everyMs, nowMs, log }: PaceOptions): Pace {
  let left = burst;
  let countedMs = nowMs();
  let timer: NodeJS.Timeout | undefined;
  const waiting = new Map<DriftReport["action"], Waiting>();

  function mayTell(): boolean {
    const earned = Math.floor((nowMs() - countedMs) / everyMs);
    left = Math.min(burst, left + earned);
    countedMs += earned * everyMs;
    if (left === 0) return false;
    left -= 1;
    return true;
  }

  async function tellWaiting(): Promise<void> {
    timer = undefined;
    const all = [...waiting.values()];
    waiting.clear();
    for (const one of all) await send(together(one));
  }

  return {
    async tell(report) {
      if (waiting.size === 0 && mayTell()) {
        await send(report);
        return;
      }
      const before = waiting.get(report.action);
      waiting.set(report.action, before === undefined ? { report, times: 1 } : joined(before, report));
      timer ??= setTimeout(() => {
        mayTell(); // what is told now counts as well
        tellWaiting().catch((error) => log(`drift can't be told: ${messageOf(error)}`));
      }, everyMs);
    },
    async close() {
      clearTimeout(timer);
      await tellWaiting();
    },
  };
}

function joined({ report: before, times }: Waiting, report: DriftReport): Waiting {
  if (report.action !== "repaired") return { report, times: times + 1 };
  const differences = new Map<string, Difference>();
  for (const one of [...before.differences, ...report.differences])
    differences.set(`${one.driver} ${one.object}`, one);
  const { by, ...rest } = report;
  const same = by?.pid !== undefined && by.pid === before.by?.pid;
  return {
    report: { ...rest, ...(same ? { by } : {}), differences: [...differences.values()].slice(0, TOLD_MAX) },
    times: times + 1,
  };
}

function together({ report, times }: Waiting): DriftReport {
  if (times === 1) return report;
  const reason = `${times} times, told together`;
  return { ...report, reason: report.reason === undefined ? reason : `${report.reason}; ${reason}` };
}
