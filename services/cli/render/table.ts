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
const NARROWEST_WRAPPED = 16;
const LONGEST_WHOLE_WORD = 32;
const MOST_LINES = 4;

/**
 * Columns under their headings, two spaces apart; the last isn't padded. On a terminal it keeps to its width: first
 * long cells wrap, then optional columns are left out. Elsewhere every cell is whole, and on one line.
 */
export function table<Row>(
  terminal: Pick<Terminal, "width" | "paint">,
  { columns, rows, none }: Table<Row>,
): string[] {
  if (rows.length === 0) return [none];
  const measured = columns.map((column) => measure(column, rows));
  const shown = fitted(measured, terminal.width);
  return [
    joined(shown.map(({ column, width }) => column.heading.padEnd(width))),
    ...rows.flatMap((row) => rowLines(terminal, shown, row)),
  ];
}

interface Measured<Row> {
  column: Column<Row>;
  /** of the widest cell */
  natural: number;
  /** with the longest word whole, where that can be */
  least: number;
}
type Fitted<Row> = Measured<Row> & { width: number };

function measure<Row>(column: Column<Row>, rows: readonly Row[]): Measured<Row> {
  const cells = [column.heading, ...rows.map((row) => column.cell(row))];
  const natural = Math.max(...cells.map((cell) => cell.length));
  if (!column.wraps) return { column, natural, least: natural };
  const word = Math.max(...cells.flatMap((cell) => cell.split(/\s+/)).map((one) => one.length));
  const least = Math.max(NARROWEST_WRAPPED, Math.min(word, LONGEST_WHOLE_WORD));
  return { column, natural, least: Math.min(natural, least) };
}

function fitted<Row>(measured: readonly Measured<Row>[], width: number | undefined): Fitted<Row>[] {
  if (width === undefined) return measured.map((one) => ({ ...one, width: one.natural }));
  const spare = measured.reduce((left, { least }) => left - least - GAP, width + GAP);
  const dispensable = measured.findLastIndex(({ column }) => column.optional);
  if (spare < 0 && dispensable !== -1) {
    return fitted(
      measured.filter((_, index) => index !== dispensable),
      width,
    );
  }
  return shared(measured, spare);
}

/** What is left over goes to those that would wrap; who needs less than its share leaves the rest to the others. */
function shared<Row>(measured: readonly Measured<Row>[], spare: number): Fitted<Row>[] {
  const widths = new Map<Measured<Row>, number>();
  const byNeed = [...measured].sort((a, b) => a.natural - a.least - (b.natural - b.least));
  let left = Math.max(0, spare);
  for (const [turn, one] of byNeed.entries()) {
    const more = Math.min(one.natural - one.least, Math.floor(left / (byNeed.length - turn)));
    widths.set(one, one.least + more);
    left -= more;
  }
  return measured.map((one) => ({ ...one, width: widths.get(one) ?? one.natural }));
}

function rowLines<Row>(terminal: Pick<Terminal, "paint">, shown: readonly Fitted<Row>[], row: Row): string[] {
  const cells = shown.map(({ column, width }) => cellLines(column.cell(row), width));
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    joined(
      shown.map(({ column, width }, index) => {
        const text = cells[index]?.[line] ?? "";
        const painted = column.paint && text !== "" ? terminal.paint(column.paint(row), text) : text;
        return painted + " ".repeat(Math.max(0, width - text.length));
      }),
    ),
  );
}

function cellLines(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const lines = wrap(text, width);
  if (lines.length <= MOST_LINES) return lines;
  const last = lines[MOST_LINES - 1] ?? "";
  return [...lines.slice(0, MOST_LINES - 1), `${last.slice(0, width - 2)} …`];
}

function joined(cells: readonly string[]): string {
  return cells.join(" ".repeat(GAP)).trimEnd();
}
