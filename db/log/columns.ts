import type { CheckedBody } from "@sluice/proto/events/body";
import { KEYS } from "./event-body.ts";
import type { EvidenceRow } from "./evidence.ts";

const OWN = ["id", "stream", "streamVersion", "type", "schemaVersion"] as const;

/** The column for queries that says something else than the body it was taken from. */
export function differingColumn({ columns }: EvidenceRow, body: CheckedBody): string | undefined {
  if (columns.atMs !== Date.parse(body.meta.at)) return "at";
  if (columns.correlation !== body.meta.correlation) return "correlation";
  return (
    OWN.find((name) => columns[name] !== body[name]) ??
    KEYS.find((key) => columns[key] !== (body.keys[key] ?? null))
  );
}
