import type { Command } from "commander";
import { withExamples } from "../command.ts";
import { addAuditArchive } from "./audit-archive.ts";
import { addAuditAt } from "./audit-at.ts";
import { addAuditCheck } from "./audit-check.ts";
import { addAuditDiff } from "./audit-diff.ts";
import { addAuditErase } from "./audit-erase.ts";
import { addAuditExport } from "./audit-export.ts";
import { addAuditLog } from "./audit-log.ts";
import { addAuditTimeline } from "./audit-timeline.ts";
import { addAuditVerify } from "./audit-verify.ts";
import { addAuditWhy } from "./audit-why.ts";

export function addAuditCommands(program: Command): void {
  const audit = withExamples(
    program.command("audit").description("who changed what, when, why, and where it took effect"),
    [
      "sluice audit log --policy web-edge --since 2d",
      "sluice audit log --server web-3 --type DriftDetected",
      'sluice audit log --actor alice --text "open 443"',
      "sluice audit at --time '2026-03-01 14:02' --server web-3",
      "sluice audit diff 2d 1h --policy web-edge",
      "sluice audit timeline web-3",
      'sluice audit why --server web-3 --rule "-A SL-web-edge-INPUT -p tcp -m tcp --dport 22 -j ACCEPT"',
      "sluice audit log --all --json --since 30d > month.ndjson",
      "sluice audit verify",
      "sluice audit export --out log.ndjson",
      "sluice audit check log.ndjson --key control.pem",
      "sluice audit archive --before 365d --out 2025.ndjson",
    ],
  );
  addAuditLog(audit);
  addAuditTimeline(audit);
  addAuditWhy(audit);
  addAuditAt(audit);
  addAuditDiff(audit);
  addAuditVerify(audit);
  addAuditExport(audit);
  addAuditCheck(audit);
  addAuditArchive(audit);
  addAuditErase(audit);
}
