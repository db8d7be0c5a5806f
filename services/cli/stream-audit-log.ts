import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { errorView } from "@sluice/proto/api/error";
import { SluiceError } from "@sluice/proto/base/errors";
import { fetchFromControl } from "./client.ts";
import type { Context } from "./context.ts";

/** Every event that fits, newest first, each as a line of JSON; control sends no more than is taken. */
export async function* streamAuditLog(
  { url, token }: Context,
  filter: Readonly<Record<string, string | readonly string[] | undefined>>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const address = new URL("/audit/log.ndjson", url);
  for (const [name, value] of Object.entries(filter)) {
    for (const one of value === undefined ? [] : [value].flat())
      address.searchParams.append(name === "types" ? "type" : name, one);
  }
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetchFromControl(url, address, { headers, signal });
  if (!response.ok) {
    const { code, message, cure } = errorView.parse(await response.json());
    throw new SluiceError(code, message, cure === undefined ? {} : { cure });
  }
  if (response.body === null) return;
  yield* createInterface({ input: Readable.fromWeb(response.body) });
}
