import type { Color, Terminal } from "../terminal.ts";
import { wrap } from "./wrap.ts";

export interface Column<Row> {
  heading: string;
  cell(row: Row): string;
  paint?(row: Row): Color;
  /** long ones go over several lines where the terminal is narrow */
  wraps?: true;
  /** left out where the terminal is too narrow for all, the rightmost first */
  optional?: true;
}

export interface Table<Row> {
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  /** said where there is no row */
  none: string;
}

const GAP = 2;
const NARROWEST_WRAPPED = 20;

/**
 * Columns under their headings, two spaces apart; the last isn't padded. On a terminal it keeps to its width: first
 * cells wrap, then optional columns are left out. Elsewhere every cell is whole, and on one line.
 */
export function table<Row>(
  terminal: Pick<Terminal, "width" | "paint">,
  { columns, rows, none }: Table<Row>,
): string[] {
  if (rows.length === 0) return [none];
  const shown = fitting(columns, rows, terminal.width);
  const widths = widthsOf(shown, rows, terminal.width);
  return [
    joined(shown.map(({ heading }, index) => heading.padEnd(widths[index] ?? 0))),
    ...rows.flatMap((row) => rowLines(terminal, shown, widths, row)),
  ];
}

function rowLines<Row>(
  terminal: Pick<Terminal, "paint">,
  columns: readonly Column<Row>[],
  widths: readonly number[],
  row: Row,
): string[] {
  const cells = columns.map((column, index) => {
    const text = column.cell(row);
    return text.length > (widths[index] ?? 0) ? wrap(text, widths[index] ?? 0) : [text];
  });
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    joined(
      columns.map((column, index) => {
        const text = cells[index]?.[line] ?? "";
        const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - text.length));
        const painted = column.paint && text !== "" ? terminal.paint(column.paint(row), text) : text;
        return painted + padding;
      }),
    ),
  );
}

function joined(cells: readonly string[]): string {
  return cells.join(" ".repeat(GAP)).trimEnd();
}

function fitting<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): readonly Column<Row>[] {
  if (width === undefined) return columns;
  const least = columns.map((column) =>
    column.wraps ? Math.min(NARROWEST_WRAPPED, widest(column, rows)) : widest(column, rows),
  );
  const needed = least.reduce((sum, one) => sum + one + GAP, -GAP);
  const dispensable = columns.findLastIndex(({ optional }) => optional);
  if (needed <= width || dispensable === -1) return columns;
  return fitting(
    columns.filter((_, index) => index !== dispensable),
    rows,
    width,
  );
}

/** What is left beside the fixed columns is shared by those that wrap; who needs less than its share leaves the rest. */
function widthsOf<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): number[] {
  const widths = columns.map((column) => widest(column, rows));
  if (width === undefined) return widths;
  const wrapping = columns
    .flatMap(({ wraps }, index) => (wraps ? [index] : []))
    .sort((a, b) => (widths[a] ?? 0) - (widths[b] ?? 0));
  const fixed = widths.reduce((sum, one, index) => (wrapping.includes(index) ? sum : sum + one), 0);
  let left = width - fixed - GAP * (columns.length - 1);
  for (const [turn, index] of wrapping.entries()) {
    const share = Math.max(10, Math.floor(left / (wrapping.length - turn)));
    widths[index] = Math.min(widths[index] ?? 0, share);
    left -= widths[index] ?? 0;
  }
  return widths;
}

function widest<Row>({ heading, cell }: Column<Row>, rows: readonly Row[]): number {
  return Math.max(heading.length, ...rows.map((row) => cell(row).length));
}
