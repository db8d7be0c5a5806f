import type { AppRouter } from "@sluice/control/api/router";
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
        false: httpLink({ url: endpoint, headers: { authorization } }),
      }),
    ],
  });
}
