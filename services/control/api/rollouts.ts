import {
  adoptInput,
  confirmRolloutInput,
  listRolloutsInput,
  rollbackInput,
  showRolloutInput,
  startRolloutInput,
} from "@sluice/proto/api/rollouts";
import { adoptPolicy } from "../rollouts/adopt.ts";
import { confirmRollout } from "../rollouts/by-hand.ts";
import { listRollouts } from "../rollouts/ls.ts";
import { rollback } from "../rollouts/rollback.ts";
import { showRollout } from "../rollouts/show.ts";
import { startRollout } from "../rollouts/start.ts";
import { operator, router, viewer } from "./trpc.ts";
import { watchView } from "./watch.ts";

export const rolloutsRouter = router({
  start: operator.input(startRolloutInput).mutation(({ ctx, input }) => startRollout(ctx, input)),
  adopt: operator.input(adoptInput).mutation(({ ctx, input }) => adoptPolicy(ctx, input)),
  confirm: operator.input(confirmRolloutInput).mutation(({ ctx, input }) => confirmRollout(ctx, input)),
  rollback: operator.input(rollbackInput).mutation(({ ctx, input }) => rollback(ctx, input)),
  ls: viewer.input(listRolloutsInput).query(({ ctx, input }) => listRollouts(ctx, input)),
  show: viewer.input(showRolloutInput).query(({ ctx, input }) => showRollout(ctx, input)),
  watch: viewer.input(showRolloutInput).subscription(({ ctx, input, signal }) =>
    watchView(
      ctx,
      signal ?? AbortSignal.timeout(0),
      () => showRollout(ctx, input),
      ({ state }) => state !== "running",
    ),
  ),
});
