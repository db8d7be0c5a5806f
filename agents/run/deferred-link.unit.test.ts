import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReportBody } from "@sluice/proto/wire/report";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AgentLink } from "../link/link.ts";
import { recordFile } from "../state/record-file.ts";
import { createDeferredLink, type DeferredLink, waitingReports } from "./deferred-link.ts";

let folder: string;
let deferred: DeferredLink;
let told: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-deferred-"));
  deferred = createDeferredLink("web-1", recordFile(join(folder, "reports.json"), waitingReports));
  told = [];
});
afterEach(() => rm(folder, { recursive: true }));

function report(reason: string): ReportBody {
  return { kind: "rejected", what: "envelope", reason };
}

/** Says what it is told; nothing else of it is used. */
function listening(): AgentLink {
  const unused = async () => {
    throw new Error("not asked for here");
  };
  return {
    ...{ server: "web-1", connected: () => true, fetchDesired: unused, fetchPlan: unused, fetchList: unused },
    ...{ fetchBlob: unused, hits: unused, confirm: unused, close: async () => undefined },
    async *streamBlob() {},
    async report(body) {
      if (body.kind === "rejected") told.push(body.reason);
    },
    pulse: () => undefined,
    followLists: () => undefined,
  };
}

test("reports that come at once before there is a link are all told, in their order", async () => {
  await Promise.all(["first", "second", "third"].map((reason) => deferred.report(report(reason))));
  await deferred.attach(listening());
  expect(told).toEqual(["first", "second", "third"]);
});

test("a report that comes while the link is handed over is told after those that waited, once", async () => {
  await deferred.report(report("waited"));
  const attaching = deferred.attach(listening());
  const reporting = deferred.report(report("meanwhile"));
  await Promise.all([attaching, reporting]);
  await deferred.report(report("afterwards"));
  expect(told).toEqual(["waited", "meanwhile", "afterwards"]);
});
