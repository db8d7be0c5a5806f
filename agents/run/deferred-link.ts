import { SluiceError } from "@sluice/proto/base/errors";
import { type ReportBody, reportBody } from "@sluice/proto/wire/report";
import { z } from "zod";
import type { AgentLink } from "../link/link.ts";
import { type RecordFile, readOr } from "../state/record-file.ts";
import { createTurns } from "./turns.ts";

/**
 * The link before there is one: an agent works while NATS was never reached since it started. Reports wait on the disk,
 * questions fail as UNAVAILABLE. Once attached, everything goes through. Reports are kept one after the other, and what
 * comes while the link is handed over is told after what waited: none takes the place of another.
 */
export interface DeferredLink extends AgentLink {
  attach(link: AgentLink): Promise<void>;
}

export const waitingReports = z.array(reportBody);

export function createDeferredLink(server: string, waiting: RecordFile<ReportBody[]>): DeferredLink {
  const turns = createTurns();
  let link: AgentLink | undefined;
  let followed: Parameters<AgentLink["followLists"]> | undefined;

  function attached(): AgentLink {
    if (link === undefined) throw new SluiceError("UNAVAILABLE", "NATS was not reached yet");
    return link;
  }

  async function kept(): Promise<ReportBody[]> {
    return (await readOr(waiting, () => undefined)) ?? [];
  }

  return {
    server,
    attach: (made) =>
      turns.take(async () => {
        for (const body of await kept()) await made.report(body);
        await waiting.remove();
        link = made;
        if (followed !== undefined) link.followLists(...followed);
      }),
    connected: () => link?.connected() ?? false,
    fetchDesired: async () => await attached().fetchDesired(),
    fetchPlan: async (plan) => await attached().fetchPlan(plan),
    fetchList: async (list) => await attached().fetchList(list),
    fetchBlob: async (ref) => await attached().fetchBlob(ref),
    streamBlob: (ref) => attached().streamBlob(ref),
    async report(body) {
      if (link !== undefined) return await link.report(body);
      await turns.take(async () => {
        if (link !== undefined) await link.report(body);
        else await waiting.write([...(await kept()), body]);
      });
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
