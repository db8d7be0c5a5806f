import { addReaderInput, removeReaderInput } from "@sluice/proto/api/feed";
import { addReader } from "../feed/add.ts";
import { listReaders } from "../feed/ls.ts";
import { removeReader } from "../feed/rm.ts";
import { admin, router } from "./trpc.ts";

export const feedRouter = router({
  add: admin.input(addReaderInput).mutation(({ ctx, input }) => addReader(ctx, input)),
  ls: admin.query(({ ctx }) => listReaders(ctx)),
  rm: admin.input(removeReaderInput).mutation(({ ctx, input }) => removeReader(ctx, input)),
});
