/** Metrics in Prometheus' text format (version 0.0.4): counters and histograms, and families sampled at each scrape. */

export interface Sample {
  labels?: Readonly<Record<string, string>>;
  value: number;
}

/** Histogram bounds in seconds, from a cached answer to an increment over a long backlog. */
const BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.04, 0.05, 0.06, 0.075, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1, 2.5, 5, 10, 30, 60,
  120,
] as const;

interface Histogram {
  counts: number[];
  sum: number;
  count: number;
}

export class Metrics {
  readonly #histograms = new Map<string, { help: string; series: Map<string, Histogram> }>();
  readonly #counters = new Map<string, { help: string; series: Map<string, number> }>();

  /** Increments a counter; `by` 0 creates the series before the first count. */
  count(name: string, help: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const family = this.#counters.get(name) ?? { help, series: new Map<string, number>() };
    this.#counters.set(name, family);
    const key = formatLabels(labels);
    family.series.set(key, (family.series.get(key) ?? 0) + by);
  }

  observe(name: string, help: string, seconds: number, labels: Readonly<Record<string, string>> = {}): void {
    const family = this.#histograms.get(name) ?? { help, series: new Map<string, Histogram>() };
    this.#histograms.set(name, family);
    const key = formatLabels(labels);
    const histogram = family.series.get(key) ?? { counts: BUCKETS_S.map(() => 0), sum: 0, count: 0 };
    family.series.set(key, histogram);
    const bucket = BUCKETS_S.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
    histogram.sum += seconds;
    histogram.count += 1;
  }

  /** All counters and histograms as text. */
  text(): string {
    const counters = [...this.#counters].map(
      ([name, { help, series }]) =>
        head(name, help, "counter") +
        [...series].map(([labels, value]) => `${name}${braces(labels)} ${value}\n`).join(""),
    );
    const histograms = [...this.#histograms].map(
      ([name, { help, series }]) =>
        head(name, help, "histogram") +
        [...series].map(([labels, histogram]) => formatHistogram(name, labels, histogram)).join(""),
    );
    return [...counters, ...histograms].join("");
  }
}

/** Formats one metric family; empty without samples. */
export function formatFamily(
  name: string,
  help: string,
  type: "gauge" | "counter",
  samples: readonly Sample[],
): string {
  if (samples.length === 0) return "";
  return (
    head(name, help, type) +
    samples.map(({ labels = {}, value }) => `${name}${braces(formatLabels(labels))} ${formatValue(value)}\n`).join("")
  );
}

function head(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(
      ([name, value]) => `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
    )
    .join(",");
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}

/** Formats a histogram; its buckets are cumulative. */
function formatHistogram(name: string, labels: string, { counts, sum, count }: Histogram): string {
  const prefix = labels === "" ? "" : `${labels},`;
  let below = 0;
  const buckets = BUCKETS_S.map((bound, index) => {
    below += counts[index] ?? 0;
    return `${name}_bucket{${prefix}le="${bound}"} ${below}\n`;
  });
  const suffix = braces(labels);
  return [
    ...buckets,
    `${name}_bucket{${prefix}le="+Inf"} ${count}\n`,
    `${name}_sum${suffix} ${sum}\n`,
    `${name}_count${suffix} ${count}\n`,
  ].join("");
}
