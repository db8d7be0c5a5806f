import { listDriftInput, repairDriftInput, showDriftInput } from "@sluice/proto/api/drift";
import { listDrift } from "../drift/ls.ts";
import { repairDrift } from "../drift/repair.ts";
import { showDrift } from "../drift/show.ts";
import { operator, router, viewer } from "./trpc.ts";

export const driftRouter = router({
  ls: viewer.input(listDriftInput).query(({ ctx, input }) => listDrift(ctx, input)),
  show: viewer.input(showDriftInput).query(({ ctx, input }) => showDrift(ctx, input)),
  repair: operator.input(repairDriftInput).mutation(({ ctx, input }) => repairDrift(ctx, input)),
});
