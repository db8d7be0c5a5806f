/** Plain line charts as SVG, side by side on one scale. No library: a chart in the docs is written once and read by eye. */
export interface Chart {
  title: string;
  xLabel: string;
  panels: readonly { title: string; lines: readonly Line[] }[];
}

export interface Line {
  name: string;
  points: readonly { x: number; y: number }[];
}

const PANEL = { width: 280, height: 240, left: 44, top: 62, gap: 24 };
const COLORS = ["#c0392b", "#e08e0b", "#1f6fb2", "#2e7d32"];

export function drawChart({ title, xLabel, panels }: Chart): string {
  const points = panels.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  const xMax = Math.max(...points.map(({ x }) => x));
  const yMax = niceAbove(Math.max(...points.map(({ y }) => y)));
  const width = panels.length * (PANEL.width + PANEL.gap) + PANEL.left;
  const height = PANEL.top + PANEL.height + 66;
  const names = panels[0]?.lines.map(({ name }) => name) ?? [];
  const body = [
    text(width / 2, 20, title, 'text-anchor="middle" font-weight="bold"'),
    ...panels.flatMap((panel, index) => drawPanel(panel, index, { xMax, yMax })),
    text(width / 2, PANEL.top + PANEL.height + 36, xLabel, 'text-anchor="middle"'),
    ...names.flatMap((name, index) => {
      const x = PANEL.left + index * 150;
      const y = PANEL.top + PANEL.height + 56;
      return [
        `<line x1="${x}" y1="${y - 4}" x2="${x + 24}" y2="${y - 4}" stroke="${colorOf(index)}" stroke-width="2"/>`,
        text(x + 30, y, name),
      ];
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel(
  { title, lines }: Chart["panels"][number],
  index: number,
  { xMax, yMax }: { xMax: number; yMax: number },
): string[] {
  const left = PANEL.left + index * (PANEL.width + PANEL.gap);
  const bottom = PANEL.top + PANEL.height;
  const xOf = (x: number) => round(left + (x / xMax) * PANEL.width);
  const yOf = (y: number) => round(bottom - (y / yMax) * PANEL.height);
  const xs = [...new Set(lines.flatMap((line) => line.points.map(({ x }) => x)))];
  const ys = Array.from({ length: 5 }, (_, n) => (yMax * n) / 4);
  return [
    text(left + PANEL.width / 2, PANEL.top - 12, title, 'text-anchor="middle"'),
    ...ys.map(
      (y) => `<line x1="${left}" y1="${yOf(y)}" x2="${left + PANEL.width}" y2="${yOf(y)}" stroke="#dddddd"/>`,
    ),
    ...(index === 0 ? ys.map((y) => text(left - 6, yOf(y) + 4, String(y), 'text-anchor="end"')) : []),
    ...xs
      .filter((x) => x === 0 || x >= xMax / 10)
      .map((x) =>
        text(xOf(x), bottom + 16, x.toLocaleString("en-US"), 'text-anchor="middle" font-size="10"'),
      ),
    ...lines.flatMap(({ points }, line) => {
      const color = colorOf(line);
      const path = points.map(({ x, y }) => `${xOf(x)},${yOf(y)}`).join(" ");
      return [
        `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>`,
        ...points.map(({ x, y }) => `<circle cx="${xOf(x)}" cy="${yOf(y)}" r="3" fill="${color}"/>`),
      ];
    }),
  ];
}

function text(x: number, y: number, words: string, more = ""): string {
  return `<text x="${round(x)}" y="${round(y)}"${more === "" ? "" : ` ${more}`}>${words}</text>`;
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] ?? "#000000";
}

/** 1, 2 or 5 times a power of ten, and not below. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 4, 5, 8, 10].find((factor) => factor * power >= value) ?? 10);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
