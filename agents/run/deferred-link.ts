import { SluiceError } from "@sluice/proto/base/errors";
import { type ReportBody, reportBody } from "@sluice/proto/wire/report";
import { z } from "zod";
import type { AgentLink } from "../link/link.ts";
import { type RecordFile, readOr } from "../state/record-file.ts";

/**
 * The link before there is one: an agent works while NATS was never reached since it started. Reports wait on the disk,
 * questions fail as UNAVAILABLE. Once attached, everything goes through.
 */
export interface DeferredLink extends AgentLink {
  attach(link: AgentLink): Promise<void>;
}

export const waitingReports = z.array(reportBody);

export function createDeferredLink(server: string, waiting: RecordFile<ReportBody[]>): DeferredLink {
  let link: AgentLink | undefined;
  let followed: Parameters<AgentLink["followLists"]> | undefined;

  function attached(): AgentLink {
    if (link === undefined) throw new SluiceError("UNAVAILABLE", "NATS was not reached yet");
    return link;
  }

  return {
    server,
    async attach(made) {
      const reports = (await readOr(waiting, () => undefined)) ?? [];
      for (const body of reports) await made.report(body);
      await waiting.remove();
      link = made;
      if (followed !== undefined) link.followLists(...followed);
    },
    connected: () => link?.connected() ?? false,
    fetchDesired: async () => await attached().fetchDesired(),
    fetchPlan: async (plan) => await attached().fetchPlan(plan),
    fetchList: async (list) => await attached().fetchList(list),
    fetchBlob: async (ref) => await attached().fetchBlob(ref),
    streamBlob: (ref) => attached().streamBlob(ref),
    async report(body) {
      if (link !== undefined) return await link.report(body);
      const reports = (await readOr(waiting, () => undefined)) ?? [];
      await waiting.write([...reports, body]);
    },
    pulse: (pulse) => link?.pulse(pulse),
    hits: async (hits) => await attached().hits(hits),
    confirm: async (request, timeoutMs) => await attached().confirm(request, timeoutMs),
    followLists(lists, onDelta) {
      followed = [lists, onDelta];
      link?.followLists(lists, onDelta);
    },
    close: async () => await link?.close(),
  };
}
