import { stripVTControlCharacters } from "node:util";

/** Columns under their headings, two spaces apart; the last isn't padded. Empty: just the headings. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  return all.map((row) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - width(cell)),
      )
      .join("  ")
      .trimEnd(),
  );
}

function width(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

/** `2026-11-23 14:02:07` in UTC; `-` for none. */
export function timeText(iso: string | undefined): string {
  return iso === undefined ? "-" : iso.slice(0, 19).replace("T", " ");
}
