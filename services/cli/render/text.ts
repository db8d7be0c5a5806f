import type { AssignedView } from "@sluice/proto/api/common";
import type { Terminal } from "../terminal.ts";

const DAY_MS = 86_400_000;

/** For tables: how long ago on a terminal (`3m ago`), the time itself elsewhere. */
export function timeText(terminal: Pick<Terminal, "width" | "now">, iso: string | undefined): string {
  if (iso === undefined) return "-";
  return terminal.width === undefined ? exactTime(iso) : ago(terminal.now().getTime() - Date.parse(iso), iso);
}

/** `2026-11-23 14:02:07`, in UTC; `-` for none. It can be given back as `--since`. */
export function exactTime(iso: string | undefined): string {
  return iso === undefined ? "-" : iso.slice(0, 19).replace("T", " ");
}

function ago(ms: number, iso: string): string {
  if (ms < 0 || ms > 30 * DAY_MS) return exactTime(iso).slice(0, 16);
  if (ms < 60_000) return `${Math.floor(ms / 1000)}s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)}m ago`;
  return ms < DAY_MS ? `${Math.floor(ms / 3_600_000)}h ago` : `${Math.floor(ms / DAY_MS)}d ago`;
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}

/** `door@3, web@1` */
export function assignedText(assigned: readonly AssignedView[]): string {
  return assigned.map(({ policy, revision }) => `${policy}@${revision}`).join(", ") || "-";
}

/** `1 server`, `2 servers` */
export function counted(count: number, noun: string): string {
  return `${count} ${count === 1 ? noun : noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}
