import type { AppRouter } from "@sluice/control/api/router";
import { SluiceError } from "@sluice/proto/base/errors";
import { createTRPCClient, httpLink, httpSubscriptionLink, splitLink, type TRPCClient } from "@trpc/client";
import { EventSource } from "eventsource";
import type { Context } from "./context.ts";

export type Client = TRPCClient<AppRouter>;

/** Calls go over HTTP, subscriptions over server-sent events; both carry the token. */
export function createClient({ url, token }: Context): Client {
  const endpoint = new URL("/trpc", url).href;
  const authorization = `Bearer ${token}`;
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: (operation) => operation.type === "subscription",
        true: httpSubscriptionLink({
          url: endpoint,
          EventSource,
          eventSourceOptions: () => ({
            fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, authorization } }),
          }),
        }),
        false: httpLink({
          url: endpoint,
          headers: { authorization },
          fetch: (input, init) => fetchFromControl(url, input, init),
        }),
      }),
    ],
  });
}

/** What fails before control itself answers says where it was looked for, and why it isn't there. */
export async function fetchFromControl(
  control: string,
  input: Parameters<typeof fetch>[0],
  init: Parameters<typeof fetch>[1],
): Promise<Response> {
  const response = await fetch(input, init).catch((cause) => {
    throw new SluiceError("UNAVAILABLE", `control at ${control} can't be reached: ${reasonOf(cause)}`, {
      cure: "is it running, and is that its address? --control, SLUICE_URL or .sluice/context.json say which",
      cause,
    });
  });
  if (response.headers.get("content-type")?.includes("json")) return response;
  throw new SluiceError(
    "UNAVAILABLE",
    `what answers at ${control} isn't Sluice's control (${response.status})`,
    {
      cure: "--control, SLUICE_URL or .sluice/context.json say where control is",
    },
  );
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name can't be looked up",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  UND_ERR_CONNECT_TIMEOUT: "connection timed out",
  UND_ERR_SOCKET: "connection closed",
};

/** `fetch failed` says nothing; its cause does. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return WORDS[code] ?? (cause.message || code || cause.name);
}
