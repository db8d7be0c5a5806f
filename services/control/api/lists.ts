import { changeListInput, createListInput, retireListInput, showListInput } from "@sluice/proto/api/lists";
import { changeList } from "../lists/change.ts";
import { createList } from "../lists/create.ts";
import { listLists } from "../lists/ls.ts";
import { retireList } from "../lists/rm.ts";
import { showList } from "../lists/show.ts";
import { operator, router, viewer } from "./trpc.ts";

export const listsRouter = router({
  create: operator.input(createListInput).mutation(({ ctx, input }) => createList(ctx, input)),
  change: operator.input(changeListInput).mutation(({ ctx, input }) => changeList(ctx, input)),
  rm: operator.input(retireListInput).mutation(({ ctx, input }) => retireList(ctx, input)),
  ls: viewer.query(({ ctx }) => listLists(ctx)),
  show: viewer.input(showListInput).query(({ ctx, input }) => showList(ctx, input)),
});
