import { type Domain, keyId, type Opened, openMessage } from "@sluice/proto/base/sign";
import type { ZodType } from "zod";
import type { LinkIn } from "./link.ts";
import { isStorable } from "./storable.ts";

/** What a server says, if it is signed by this server's own key, speaks for it, and can be kept. */
export async function openFrom<T extends { server: string }>(
  linkIn: Pick<LinkIn, "reportKey">,
  server: string,
  domain: Domain,
  schema: ZodType<T>,
  bytes: Uint8Array,
): Promise<Opened<T>> {
  const key = await linkIn.reportKey(server);
  if (key === undefined) return { ok: false, reason: "no such server is enrolled" };
  const opened = openMessage({ [keyId(key)]: key }, domain, schema, bytes);
  if (!opened.ok) return opened;
  if (opened.value.server !== server) return { ok: false, reason: `it speaks for ${opened.value.server}` };
  if (!isStorable(opened.value)) return { ok: false, reason: "it holds what is no character" };
  return opened;
}
