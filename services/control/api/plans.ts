import { listPlansInput, requestPlanInput, showPlanInput } from "@sluice/proto/api/plans";
import { listPlans } from "../plans/ls.ts";
import { requestPlan } from "../plans/request.ts";
import { showPlan } from "../plans/show.ts";
import { operator, router, viewer } from "./trpc.ts";
import { watchView } from "./watch.ts";

export const plansRouter = router({
  request: operator.input(requestPlanInput).mutation(({ ctx, input }) => requestPlan(ctx, input)),
  ls: viewer.input(listPlansInput).query(({ ctx, input }) => listPlans(ctx, input)),
  show: viewer.input(showPlanInput).query(({ ctx, input }) => showPlan(ctx, input)),
  watch: viewer.input(showPlanInput).subscription(({ ctx, input, signal }) =>
    watchView(
      ctx,
      signal ?? AbortSignal.timeout(0),
      () => showPlan(ctx, input),
      ({ state }) => state !== "running",
    ),
  ),
});
