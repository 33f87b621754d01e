/** Draws small line charts on one sheet as SVG, readable on light and dark backgrounds. */

export interface Line {
  name: string;
  values: readonly number[];
}

export interface Chart {
  title: string;
  unit: string;
  /** One or two. */
  lines: readonly Line[];
}

const COLUMNS = 2;
const WIDTH = 420;
const HEIGHT = 170;
const PLOT = { left: 58, right: 14, top: 34, bottom: 34 };
const MAX_X_TICKS = 6;

const STYLE = `<style>
  text { font: 11px system-ui, sans-serif; fill: #57606a; }
  .title { font-weight: 600; font-size: 12px; fill: #24292f; }
  .grid { stroke: #d0d7de; }
  path { fill: none; stroke-width: 1.5; }
  .line-0 { stroke: #0969da; } .line-1 { stroke: #bc4c00; }
  text.line-0 { fill: #0969da; stroke: none; } text.line-1 { fill: #bc4c00; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #8b949e; } .title { fill: #e6edf3; } .grid { stroke: #30363d; }
    .line-0 { stroke: #58a6ff; } .line-1 { stroke: #f0883e; }
    text.line-0 { fill: #58a6ff; } text.line-1 { fill: #f0883e; }
  }
</style>`;

/** `xs` are shared by all charts. Pure. */
export function drawCharts(charts: readonly Chart[], xs: readonly number[], x_label: string): string {
  const height = Math.ceil(charts.length / COLUMNS) * HEIGHT;
  const drawn = charts.map((chart, index) => {
    const [x, y] = [(index % COLUMNS) * WIDTH, Math.floor(index / COLUMNS) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${drawChart(chart, xs, x_label)}</g>`;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${COLUMNS * WIDTH} ${height}" role="img">\n` +
    `${STYLE}\n${drawn.join("\n")}\n</svg>\n`
  );
}

function drawChart({ title, unit, lines }: Chart, xs: readonly number[], x_label: string): string {
  const most = niceCeiling(
    Math.max(...lines.flatMap(({ values }) => values.filter(Number.isFinite)), Number.MIN_VALUE),
  );
  const last_x = Math.max(...xs, Number.MIN_VALUE);
  const right = WIDTH - PLOT.right;
  const bottom = HEIGHT - PLOT.bottom;
  const xOf = (x: number): number => PLOT.left + ((right - PLOT.left) * x) / last_x;
  const yOf = (y: number): number => bottom - ((bottom - PLOT.top) * y) / most;
  const rows = [0, 0.5, 1].map((share) => {
    const y = yOf(most * share);
    return (
      `<line class="grid" x1="${PLOT.left}" x2="${right}" y1="${y}" y2="${y}"/>` +
      `<text x="${PLOT.left - 6}" y="${y + 4}" text-anchor="end">${label(most * share)}</text>`
    );
  });
  const step = niceCeiling(last_x / MAX_X_TICKS);
  const ticks = Array.from({ length: Math.floor(last_x / step) + 1 }, (_, index) => index * step);
  const marks = ticks.map((x) => `<text x="${xOf(x)}" y="${bottom + 14}" text-anchor="middle">${label(x)}</text>`);
  const paths = lines.map(({ values }, index) => {
    const points = values.flatMap((value, at) =>
      Number.isFinite(value) ? [`${xOf(xs[at] ?? 0).toFixed(1)} ${yOf(value).toFixed(1)}`] : [],
    );
    return points.length === 0 ? "" : `<path class="line-${index}" d="M${points.join("L")}"/>`;
  });
  const names =
    lines.length < 2
      ? []
      : lines.map(
          ({ name }, index) =>
            `<text class="line-${index}" x="${right - 90 * (lines.length - 1 - index)}" y="16" ` +
            `text-anchor="end">${name}</text>`,
        );
  const axis = `<text x="${(PLOT.left + right) / 2}" y="${bottom + 28}" text-anchor="middle">${x_label}</text>`;
  return [
    `<text class="title" x="8" y="16">${title} (${unit})</text>`,
    ...names,
    ...rows,
    ...marks,
    axis,
    ...paths,
  ].join("");
}

/** The next of 1, 2, 3, 4, 5 or 6 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 3, 4, 5, 6, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

function label(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}
