import type { ShowDriftView, showDriftInput } from "@sluice/proto/api/drift";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { findServer } from "../servers/find.ts";
import { listDrift } from "./ls.ts";

const ASK_TIMEOUT_MS = 10_000;

/** Asks the server itself what differs now, and tells what differed before. */
export async function showDrift(
  ctx: Context,
  { server, limit }: z.output<typeof showDriftInput>,
): Promise<ShowDriftView> {
  await findServer(ctx, server);
  const [reply, history] = await Promise.all([
    ctx.link.ask(server, { what: "drift", repair: false }, ASK_TIMEOUT_MS),
    listDrift(ctx, { server, all: true, limit }),
  ]);
  const asked = reply.ok ? { ok: true as const, differences: reply.differences } : reply;
  return { server, asked, history };
}
