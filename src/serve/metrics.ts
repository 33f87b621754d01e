import { Counter, Gauge, Histogram, Registry } from "prom-client";

export interface Sample {
  labels?: Readonly<Record<string, string>>;
  value: number;
}

/** Figures read at a scrape, such as the rows of each table. */
export interface Family {
  name: string;
  help: string;
  type: "gauge" | "counter";
  samples: readonly Sample[];
}

export function family(name: string, help: string, type: Family["type"], samples: readonly Sample[]): Family {
  return { name, help, type, samples };
}

/** Histogram bounds in seconds, from a cached answer to an increment over a long backlog. */
const BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.04, 0.05, 0.06, 0.075, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1, 2.5, 5, 10, 30, 60,
  120,
];

/**
 * The metrics of one server in a registry that no other server shares. Counters and histograms exist from their first
 * use on.
 */
export class Metrics {
  /** Labels of every series that this object counts. */
  readonly labels: Readonly<Record<string, string>>;
  readonly #registry: Registry;

  constructor(labels: Readonly<Record<string, string>> = {}, registry = new Registry()) {
    this.labels = labels;
    this.#registry = registry;
  }

  /** The same registry, with more labels. */
  labelled(labels: Readonly<Record<string, string>>): Metrics {
    return new Metrics({ ...this.labels, ...labels }, this.#registry);
  }

  /** Increments a counter; `by` 0 creates the series before the first count. */
  count(name: string, help: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const known = this.#registry.getSingleMetric(name);
    const counter = known instanceof Counter ? known : new Counter(this.#config(name, help, labels));
    counter.inc({ ...this.labels, ...labels }, by);
  }

  observe(name: string, help: string, seconds: number, labels: Readonly<Record<string, string>> = {}): void {
    const known = this.#registry.getSingleMetric(name);
    const histogram =
      known instanceof Histogram
        ? known
        : new Histogram({ ...this.#config(name, help, labels), buckets: [...BUCKETS_S] });
    histogram.observe({ ...this.labels, ...labels }, seconds);
  }

  /** Everything in Prometheus' text format: the given families, then the counters and histograms. */
  async text(families: readonly Family[]): Promise<string> {
    // New objects for each scrape: a series whose subject no longer exists must not be repeated.
    const scraped = new Registry();
    for (const one of merged(families)) if (one.samples.length > 0) addFamily(scraped, one);
    return await Registry.merge([scraped, this.#registry]).metrics();
  }

  #config(name: string, help: string, labels: Readonly<Record<string, string>>) {
    return { name, help, labelNames: Object.keys({ ...this.labels, ...labels }), registers: [this.#registry] };
  }
}

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

export function withLabels(families: readonly Family[], labels: Readonly<Record<string, string>>): Family[] {
  return families.map((one) => ({
    ...one,
    samples: one.samples.map((sample) => ({ ...sample, labels: { ...labels, ...sample.labels } })),
  }));
}

/** Families of one name, such as those of several pipelines, become one. */
function merged(families: readonly Family[]): Family[] {
  const by_name = new Map<string, Family>();
  for (const one of families) {
    const known = by_name.get(one.name);
    by_name.set(one.name, known === undefined ? one : { ...known, samples: [...known.samples, ...one.samples] });
  }
  return [...by_name.values()];
}

/** Samples with equal labels are added: DuckDB instances may share a name, but a series must be unique. */
function addFamily(registry: Registry, { name, help, type, samples }: Family): void {
  const config = { name, help, labelNames: Object.keys(samples[0]?.labels ?? {}), registers: [registry] };
  const metric = type === "gauge" ? new Gauge(config) : new Counter(config);
  for (const { labels = {}, value } of samples) metric.inc(labels, value);
}
