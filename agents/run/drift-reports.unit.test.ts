import type { Difference } from "@sluice/proto/manifest/difference";
import type { ReportBody } from "@sluice/proto/wire/report";
import { expect, test } from "vitest";
import { createDriftReports } from "./drift-reports.ts";

test.each<[string, Difference, boolean]>([
  ["a table", { driver: "iptables", object: "ip4/filter/SL-INPUT", kind: "changed" }, true],
  ["tables that can't be read", { driver: "iptables", object: "iptables", kind: "changed" }, true],
  ["a set", { driver: "ipset", object: "set/sl-l-bans-4", kind: "changed" }, false],
])(
  "whoever was told to have changed tables is named also by a look begun for another reason: %s",
  async (_, found, isNamed) => {
    const told: ReportBody[] = [];
    const by = { pid: 4711, tool: "nft" };
    const reports = createDriftReports({
      report: async (body) => void told.push(body),
      trail: { whoChanged: async () => undefined, settle: () => undefined },
      lastHeard: () => by,
      ...{ nowMs: () => 0, log: () => undefined, since: { wallMs: 0, monotonicMs: 0 } },
    });
    const checked = { differences: [found], left: [], contended: [], faults: [], writes: 1, seenMs: 0 };
    await reports.all({ generation: 1, look: { why: "full" }, checked, sinceMs: 0 }, []);
    await reports.close();
    expect(told).toMatchObject([{ action: "repaired", differences: [found] }]);
    expect(told[0]).toEqual(isNamed ? expect.objectContaining({ by }) : expect.not.objectContaining({ by }));
  },
);
