import type { ImportView, importInput } from "@sluice/proto/api/import";
import { SluiceError } from "@sluice/proto/base/errors";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { importPresent } from "../import/import-present.ts";
import { findServer } from "./find.ts";

const ASK_TIMEOUT_MS = 60_000;

/** Makes a policy of what stands on a server. Nothing is stored, nothing is changed. */
export async function importServer(
  ctx: Context,
  { server, policy = server }: z.output<typeof importInput>,
): Promise<ImportView> {
  await findServer(ctx, server);
  const reply = await ctx.link.ask(server, { what: "present" }, ASK_TIMEOUT_MS);
  if (!reply.ok || reply.present === undefined)
    throw new SluiceError(
      "UNAVAILABLE",
      `${server} didn't tell what stands there: ${reply.ok ? "its agent is too old" : reply.reason}`,
      { cure: "see that its agent runs, is connected and of this version" },
    );
  return { server, policy, ...importPresent({ server, policy, present: reply.present }, ctx.parsePolicy) };
}
