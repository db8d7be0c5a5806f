import { sha256Hex } from "@sluice/proto/base/digest";
import { tryJson } from "@sluice/proto/base/json";
import type { Opened } from "@sluice/proto/base/sign";
import { type Manifest, manifest } from "@sluice/proto/manifest/manifest";
import type { DesiredEnvelope } from "@sluice/proto/wire/envelope";
import { z } from "zod";
import type { Issue, Refused } from "../state/schemas.ts";

/** What an agent has seen of control's wishes until now. */
export interface Known {
  server: string;
  applied: Issue | undefined;
  refused: Refused;
}

export type Take =
  | { kind: "take"; envelope: DesiredEnvelope }
  /** it is held already, or was refused or undone here: nothing is to be done, and nothing to be said again */
  | { kind: "known" }
  | { kind: "rejected"; reason: string };

/** Whether an envelope is to be obeyed: control's own, for this server, and newer than anything seen. */
export function decideTake(known: Known, opened: Opened<DesiredEnvelope>): Take {
  if (!opened.ok) return { kind: "rejected", reason: opened.reason };
  const envelope = opened.value;
  if (envelope.server !== known.server)
    return { kind: "rejected", reason: `it is for server ${envelope.server}` };
  const seen = [...(known.applied ? [known.applied] : []), ...known.refused];
  for (const one of seen) {
    const age = compareIssues(envelope, one);
    if (age > 0) continue;
    if (age < 0)
      return { kind: "rejected", reason: `${nameOf(envelope)} is older than ${nameOf(one)}, which was seen` };
    if (one.digest === envelope.manifest.digest) return { kind: "known" };
    return { kind: "rejected", reason: `${nameOf(envelope)} was seen with another manifest` };
  }
  return { kind: "take", envelope };
}

/** Below 0: `a` was issued before `b`. */
export function compareIssues(
  a: { epoch: number; generation: number },
  b: { epoch: number; generation: number },
): number {
  return a.epoch - b.epoch || a.generation - b.generation;
}

export type Parsed = { ok: true; manifest: Manifest } | { ok: false; reason: string };

/** The manifest in a blob, if it is the one that was signed for and of a shape this agent knows. */
export function parseManifest(text: string, digest: string): Parsed {
  if (sha256Hex(text) !== digest)
    return { ok: false, reason: "the manifest's digest isn't the one that was signed" };
  const parsed = manifest.safeParse(tryJson(text));
  return parsed.success
    ? { ok: true, manifest: parsed.data }
    : {
        ok: false,
        reason: `this agent doesn't know such a manifest: ${z.prettifyError(parsed.error)}`,
      };
}

function nameOf({ epoch, generation }: { epoch: number; generation: number }): string {
  return `generation ${generation} of epoch ${epoch}`;
}
