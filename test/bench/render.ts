import type { Aim, BenchResult, Ratio, Row } from "./bench.ts";
import type { Machine } from "./machine.ts";

const COLUMN = 10;

export function renderMachine(machine: Machine): string {
  const { at, kernel, cpu, cores, memoryGb, node, load } = machine;
  return `${at.slice(0, 16)}Z  ${kernel}, ${cores} cores (${cpu}), ${memoryGb} GB, Node ${node}, load ${load.toFixed(2)}`;
}

export function renderResult({ name, what, rows, ratios, notes }: BenchResult): string {
  const labels = [...rows.map(labelOf), ...ratios.map(({ label }) => label)];
  const width = Math.max(...labels.map((label) => label.length)) + 2;
  const heading = (text: string) =>
    `  ${text.padEnd(width)}${["min", "median", "max"].map((word) => word.padStart(COLUMN)).join("")}`;
  return [
    `${name}: ${what}`,
    heading(""),
    ...rows.map((one) => `  ${labelOf(one).padEnd(width)}${columns(one.min, one.median, one.max)}`),
    ...(ratios.length > 0 ? [heading("ratios")] : []),
    ...ratios.map(
      (one) => `  ${one.label.padEnd(width)}${columns(one.min, one.value, one.max)}${verdictOf(one)}`,
    ),
    ...notes.map((note) => `  - ${note}`),
    "",
  ].join("\n");
}

function labelOf({ label, unit }: Row): string {
  return `${label}, ${unit}`;
}

function verdictOf({ aim, met }: Ratio): string {
  return aim === undefined ? "" : `   aim ${aimText(aim)}: ${met ? "met" : "MISSED"}`;
}

function aimText(aim: Aim): string {
  return "atMost" in aim ? `≤ ${aim.atMost}` : `≥ ${aim.atLeast}`;
}

function columns(...values: number[]): string {
  return values.map((value) => shown(value).padStart(COLUMN)).join("");
}

/** Three digits that count. */
function shown(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  if (Math.abs(value) >= 10) return value.toFixed(1);
  return value.toFixed(Math.abs(value) >= 0.1 ? 2 : 3);
}
