import { archivableInput, archiveInput, eraseInput } from "@sluice/proto/api/archive";
import {
  auditAtInput,
  auditDiffInput,
  auditLogInput,
  auditTailInput,
  auditTimelineInput,
  auditWhyInput,
} from "@sluice/proto/api/audit";
import { auditBundleInput } from "@sluice/proto/api/proof";
import { aloud } from "../audit/aloud.ts";
import { archivable, archiveLog } from "../audit/archive.ts";
import { auditAt } from "../audit/at.ts";
import { exportBundle } from "../audit/bundle.ts";
import { auditDiff } from "../audit/diff.ts";
import { dropArchived } from "../audit/drop-archived.ts";
import { eraseFromLog } from "../audit/erase.ts";
import { auditLog } from "../audit/log.ts";
import { tailLog } from "../audit/tail.ts";
import { auditTimeline } from "../audit/timeline.ts";
import { verifyLog } from "../audit/verify.ts";
import { auditWhy } from "../audit/why.ts";
import { admin, router, viewer } from "./trpc.ts";

export const auditRouter = router({
  log: viewer.input(auditLogInput).query(({ ctx, input }) => auditLog(ctx, input)),
  at: viewer.input(auditAtInput).query(({ ctx, input }) => auditAt(ctx, input)),
  diff: viewer.input(auditDiffInput).query(({ ctx, input }) => auditDiff(ctx, input)),
  timeline: viewer.input(auditTimelineInput).query(({ ctx, input }) => auditTimeline(ctx, input)),
  why: viewer.input(auditWhyInput).query(({ ctx, input }) => auditWhy(ctx, input)),
  verify: viewer.query(({ ctx }) => verifyLog(ctx)),
  bundle: viewer.input(auditBundleInput).query(({ ctx, input }) => exportBundle(ctx, input)),
  verifyAloud: viewer.subscription(({ ctx, signal }) =>
    aloud(signal ?? AbortSignal.timeout(0), (watched) => verifyLog(ctx, watched)),
  ),
  archivable: admin.input(archivableInput).query(({ ctx, input }) => archivable(ctx, input)),
  archive: admin.input(archiveInput).mutation(({ ctx, input }) => archiveLog(ctx, input)),
  archiveAloud: admin
    .input(archiveInput)
    .subscription(({ ctx, input, signal }) =>
      aloud(signal ?? AbortSignal.timeout(0), (watched) => archiveLog(ctx, input, watched)),
    ),
  drop: admin.mutation(({ ctx, signal }) => dropArchived(ctx, { most: 8, ...(signal && { signal }) })),
  erase: admin.input(eraseInput).mutation(({ ctx, input }) => eraseFromLog(ctx, input)),
  tail: viewer
    .input(auditTailInput)
    .subscription(({ ctx, input, signal }) => tailLog(ctx, input, signal ?? AbortSignal.timeout(0))),
});
