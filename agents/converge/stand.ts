import type { Refusal } from "@sluice/proto/wire/report";
import type { Applied } from "../state/schemas.ts";
import { issueOf } from "../state/schemas.ts";
import type { ConvergeParts, Standing } from "./parts.ts";
import { rehearse } from "./rehearse.ts";
import { parseManifest } from "./take.ts";
import { targetOf, withoutMembers } from "./target.ts";

export type Stood = { ok: true; standing: Standing } | { ok: false; refusal: Refusal };

/**
 * What a confirmed manifest looks like on this kernel, now: rehearsed anew rather than kept on the disk, because a new
 * kernel or a new iptables may spell it otherwise, and because this server's own addresses may have changed.
 */
export async function stand(
  parts: Pick<ConvergeParts, "drivers" | "openRoom" | "local" | "listMembers">,
  applied: Applied,
): Promise<Stood> {
  const parsed = parseManifest(applied.manifest, applied.digest);
  if (!parsed.ok) return { ok: false, refusal: { step: "take", reason: parsed.reason } };
  const target = targetOf(parsed.manifest, parts.local(), parts.listMembers);
  const rehearsed = await rehearse(parts, target);
  if (!rehearsed.ok) return rehearsed;
  const issue = issueOf(applied);
  return {
    ok: true,
    standing: { issue, manifest: parsed.manifest, target: withoutMembers(target), want: rehearsed.want },
  };
}
