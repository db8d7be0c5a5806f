import { explainInput } from "@sluice/proto/api/explain";
import { importInput } from "@sluice/proto/api/import";
import {
  addServerInput,
  labelServerInput,
  listServersInput,
  showServerInput,
} from "@sluice/proto/api/servers";
import { addServer } from "../servers/add.ts";
import { explainPacket } from "../servers/explain.ts";
import { importServer } from "../servers/import.ts";
import { labelServer } from "../servers/label.ts";
import { listServers } from "../servers/ls.ts";
import { showServer } from "../servers/show.ts";
import { operator, router, viewer } from "./trpc.ts";

export const serversRouter = router({
  add: operator.input(addServerInput).mutation(({ ctx, input }) => addServer(ctx, input)),
  label: operator.input(labelServerInput).mutation(({ ctx, input }) => labelServer(ctx, input)),
  import: viewer.input(importInput).query(({ ctx, input }) => importServer(ctx, input)),
  ls: viewer.input(listServersInput).query(({ ctx, input }) => listServers(ctx, input)),
  explain: viewer.input(explainInput).query(({ ctx, input }) => explainPacket(ctx, input)),
  show: viewer.input(showServerInput).query(({ ctx, input }) => showServer(ctx, input)),
});
