import type { ExplainView, explainInput } from "@sluice/proto/api/explain";
import { SluiceError } from "@sluice/proto/base/errors";
import { endsFault, parseTestGoal, parseTestSource } from "@sluice/proto/policy/test-ends";
import type { Ask } from "@sluice/proto/wire/envelope";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { findServer } from "./find.ts";

type Input = z.output<typeof explainInput>;

/** Longer than a packet of which nothing is seen is waited for. */
const ASK_TIMEOUT_MS = 30_000;

/** Asks a server what becomes of a packet there, and by which rule. Nothing is changed, nothing recorded. */
export async function explainPacket(ctx: Context, input: Input): Promise<ExplainView> {
  const { server } = input;
  const packet = packetOf(input);
  await findServer(ctx, server);
  const reply = await ctx.link.ask(server, { what: "explain", packet }, ASK_TIMEOUT_MS);
  if (reply.ok && reply.explanation !== undefined) return { server, ...reply.explanation };
  throw new SluiceError(
    "UNAVAILABLE",
    `${server} didn't explain it: ${reply.ok ? "its agent is too old" : reply.reason}`,
    { cure: "see that its agent runs, is connected and of this version" },
  );
}

function packetOf({ from, to, via, out, hook, state }: Input): Extract<Ask, { what: "explain" }>["packet"] {
  const source = from === undefined ? undefined : parseTestSource(from);
  const goal = parseTestGoal(to);
  if (source?.ok === false) throw wrong("from", source.message, from, source.expected);
  if (!goal.ok) throw wrong("to", goal.message, to, goal.expected);
  const { address, port, protocol } = goal.goal;
  const fault = endsFault(hook, source?.source, goal.goal);
  const family = source?.source.family ?? goal.goal.family;
  if (fault !== undefined || family === undefined)
    throw wrong(fault?.at ?? "to", fault?.message ?? "an address is missing", undefined, fault?.expected);
  return {
    ...{ protocol, hook, state, family },
    ...(source !== undefined && { from: source.source.address }),
    ...(source?.source.port !== undefined && { fromPort: source.source.port }),
    ...(address !== undefined && { to: address }),
    ...(port !== undefined && { port }),
    ...(via !== undefined && { via }),
    ...(out !== undefined && hook === "forward" && { out }),
  };
}

function wrong(path: string, message: string, found?: string, expected?: string): SluiceError {
  const problem = { message, path, ...(found && { found }), ...(expected && { expected }) };
  return new SluiceError("INVALID", "this is no packet", { problems: [problem] });
}
