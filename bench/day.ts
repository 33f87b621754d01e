import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "../pipelines/crypto.ts";
import { openLake, type OpenLake } from "../src/lake/open.ts";
import { keepMemoryReleased } from "../src/duckdb/release-memory.ts";
import { QuerySession } from "../src/duckdb/session.ts";
import { hasPassed, intervalAfter_ms, intervalForShare_ms } from "../src/base/pacing.ts";
import { ask } from "../src/query/ask.ts";
import { embeddedEngine } from "../src/transform/engine.ts";
import { Transform } from "../src/transform/transform.ts";
import { DbtWorker } from "../src/transform/worker.ts";
import { projectFolder } from "../src/lake/tools.ts";
import { drawCharts } from "./chart.ts";
import { lakeFigures, type LakeFigures } from "./lake-figures.ts";
import { LIGHT_TABLES, LightTables } from "./light-tables.ts";
import { percentile } from "./percentile.ts";
import {
  openIngest,
  openSimulatedLake,
  produceUntilNow,
  scheduleMaintenance,
  SimulatedClock,
  type Market,
} from "./simulated-lake.ts";

export interface DayOptions {
  hours: number;
  /** Whether DuckDB writes tables like silver and gold, in place of dbt. */
  is_light: boolean;
  light_tables: readonly string[];
  coins: number;
  /** Interval of the simulated market's pages. */
  interval_ms: number;
  /** History of the market before the pipeline starts, as `start --source simulated` produces it. */
  history_ms: number;
}

/** The market of `start --source simulated`. */
const DEFAULTS: DayOptions = {
  hours: 24,
  is_light: false,
  light_tables: LIGHT_TABLES,
  coins: 50,
  interval_ms: 5_000,
  history_ms: 3 * 3_600_000,
};
/** A fixed day. Orphan removal compares file times with it and finds no old file. */
const START_US = Date.UTC(2026, 0, 5) * 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Divides the intervals of the pipeline and of maintenance. */
const TICK_MS = 10_000;
/** Interval of the loop that checks whether maintenance is due. */
const PASS_INTERVAL_MS = 20_000;
const PRUNE_INTERVAL_MS = MINUTE_MS;
/** Time of the first sample; the next ones follow hourly. */
const FIRST_SAMPLE_MS = 10 * MINUTE_MS;

/** Medians since the previous sample, and the lake's figures at its end. */
export interface DaySample extends LakeFigures {
  minutes: number;
  increment_s: number;
  commit_ms: number;
  /** Duration of a pass that found work. */
  maintenance_ms: number;
  /** Duration of all five questions, one after the other. */
  questions_ms: number;
  /** Duration of a query for the hourly candles of one coin over a day. */
  candles_ms: number;
  /** Time until a second process has opened the lake and counted rows. */
  open_ms: number;
  rss_mb: number;
  /** Of the dbt worker; NaN in light mode. */
  worker_rss_mb: number;
}

export interface DayFigures {
  is_light: boolean;
  samples: DaySample[];
  files_after_half_an_hour: number;
  increments: number;
  commits: number;
  seconds: number;
}

/** A lake in simulated time. Ingest, transforms and maintenance run one after the other. */
export class SimulatedDay {
  readonly clock: SimulatedClock;
  readonly lake: OpenLake;
  readonly #market: Market;
  readonly #closers: (() => unknown)[] = [];
  readonly durations = { increment_s: [] as number[], commit_ms: [] as number[], maintenance_ms: [] as number[] };
  #ingest: Awaited<ReturnType<typeof openIngest>> | null = null;
  #maintenance: ReturnType<typeof scheduleMaintenance> | null = null;
  #increment: (() => Promise<{ cpu_seconds: number }>) | null = null;
  #increment_interval_ms = 0;
  #increments = 0;
  #commits = 0;
  worker: DbtWorker | null = null;
  readonly #last_us = { commit: -Infinity, increment: -Infinity, pass: -Infinity, prune: -Infinity };

  private constructor(clock: SimulatedClock, lake: OpenLake, { coins, interval_ms, history_ms }: DayOptions) {
    this.clock = clock;
    this.lake = lake;
    this.#market = { coins, interval_ms, start_us: START_US - history_ms * 1000 };
    this.#closers.push(() => lake.close());
    // As in `start`.
    this.#closers.unshift(
      keepMemoryReleased((error) => {
        throw error;
      }),
    );
  }

  static async open(
    data_folder: string,
    options: Partial<DayOptions> & { is_maintained?: boolean } = {},
  ): Promise<SimulatedDay> {
    const complete = { ...DEFAULTS, ...options };
    const clock = new SimulatedClock(START_US);
    const day = new SimulatedDay(clock, await openSimulatedLake(data_folder, clock), complete);
    try {
      const ingest = await openIngest(day.lake, clock);
      day.#closers.unshift(() => ingest.close());
      day.#ingest = ingest;
      if (options.is_maintained !== false) day.#maintenance = scheduleMaintenance(day.lake, clock);
      day.#increment = complete.is_light ? await day.#openLight(complete) : day.#openDbt();
    } catch (error) {
      await day.close();
      throw error;
    }
    return day;
  }

  async #openLight(options: DayOptions): Promise<() => Promise<{ cpu_seconds: number }>> {
    const tables = await LightTables.create(this.lake, { ...this.#market, tables: options.light_tables });
    this.#closers.unshift(() => tables.close());
    return async () => {
      await tables.increment(this.clock.now_us());
      return { cpu_seconds: 0 };
    };
  }

  #openDbt(): () => Promise<{ cpu_seconds: number }> {
    const { lake } = this;
    const worker = new DbtWorker({
      project: crypto.transform.project,
      engine: embeddedEngine(lake),
      folder: lake.lake.dbt_folder,
    });
    this.#closers.unshift(() => worker.close());
    this.worker = worker;
    const transform = new Transform({ pipeline: crypto, catalog: lake.catalog, worker });
    return () => transform.catchUp();
  }

  get counts(): { increments: number; commits: number } {
    return { increments: this.#increments, commits: this.#commits };
  }

  /** Runs everything that is due until `end_us`, at the pipeline's intervals. */
  async runUntil(end_us: number): Promise<void> {
    while (this.clock.now_us() < end_us) {
      this.clock.advance(TICK_MS);
      await produceUntilNow(this.lake, this.clock, this.#market);
      if (this.#isDue("commit", intervalAfter_ms(crypto.bronze.commit, this.#commits))) await this.#commit();
      if (this.#isDue("prune", PRUNE_INTERVAL_MS)) await this.#ingest?.prune();
      if (this.#isDue("increment", this.#increment_interval_ms)) await this.#transform();
      if (this.#isDue("pass", PASS_INTERVAL_MS)) await this.#maintain();
    }
  }

  #isDue(what: "commit" | "increment" | "pass" | "prune", interval_ms: number): boolean {
    const now_us = this.clock.now_us();
    if (!hasPassed(now_us - this.#last_us[what], interval_ms)) return false;
    this.#last_us[what] = now_us;
    return true;
  }

  async #commit(): Promise<void> {
    this.durations.commit_ms.push(await timed(() => this.#ingest?.drain()));
    this.#commits += 1;
  }

  async #transform(): Promise<void> {
    let cpu_seconds = 0;
    this.durations.increment_s.push(
      (await timed(async () => ({ cpu_seconds = 0 } = (await this.#increment?.()) ?? {}))) / 1000,
    );
    this.#increments += 1;
    const { increment, increment_max_share } = crypto.transform;
    this.#increment_interval_ms = Math.max(
      intervalAfter_ms(increment, this.#increments),
      intervalForShare_ms(cpu_seconds, increment_max_share),
    );
  }

  async #maintain(): Promise<void> {
    if (this.#maintenance === null) return;
    this.durations.maintenance_ms.push(await timed(() => this.#maintenance?.pass(new AbortController().signal)));
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }
}

export async function benchDay(
  options: Partial<DayOptions> & { progress?(sample: DaySample): void } = {},
): Promise<DayFigures> {
  const { hours, is_light } = { ...DEFAULTS, ...options };
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const day = await SimulatedDay.open(folder, options);
  const started_ms = performance.now();
  try {
    const samples: DaySample[] = [];
    let files_after_half_an_hour = NaN;
    const at = [
      FIRST_SAMPLE_MS,
      30 * MINUTE_MS,
      ...Array.from({ length: Math.max(1, Math.floor(hours)) }, (_, index) => (index + 1) * HOUR_MS),
    ];
    for (const sample_ms of at.filter((ms) => ms <= hours * HOUR_MS)) {
      await day.runUntil(START_US + sample_ms * 1000);
      const sample = await takeSample(day);
      if (sample_ms === 30 * MINUTE_MS) files_after_half_an_hour = sample.files;
      samples.push(sample);
      options.progress?.(sample);
    }
    return {
      is_light,
      samples,
      files_after_half_an_hour,
      ...day.counts,
      seconds: (performance.now() - started_ms) / 1000,
    };
  } finally {
    await day.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function takeSample({ lake, clock, durations, worker }: SimulatedDay): Promise<DaySample> {
  const median = (values: number[]): number => percentile(values.splice(0), 0.5);
  const work = durations.maintenance_ms.filter((ms) => ms > 10);
  durations.maintenance_ms.length = 0;
  return {
    minutes: (clock.now_us() - START_US) / 1000 / MINUTE_MS,
    increment_s: median(durations.increment_s),
    commit_ms: median(durations.commit_ms),
    maintenance_ms: median(work),
    ...(await queryTimes(lake)),
    open_ms: await timed(() => openAndCount(lake)),
    ...(await lakeFigures(lake.lake, lake)),
    rss_mb: process.memoryUsage().rss / 1e6,
    worker_rss_mb: worker === null ? NaN : (worker.rss_bytes ?? NaN) / 1e6,
  };
}

async function queryTimes(lake: OpenLake): Promise<{ questions_ms: number; candles_ms: number }> {
  const session = await QuerySession.open(lake);
  try {
    const askAll = async (): Promise<void> => {
      for (const question of crypto.questions) await ask(session, crypto, question, { as_of: null, values: {} });
    };
    await askAll();
    const questions_ms = await medianTime(askAll);
    await session.travelTo(null);
    const candles = `select crypto_id, hour_at, open, high, low, close, total_volume from gold.fact_crypto_hourly
      where crypto_id = 'bitcoin'
        and hour_at > (select max(hour_at) from gold.fact_crypto_hourly) - interval 1 day order by hour_at`;
    await session.query(candles);
    return { questions_ms, candles_ms: await medianTime(() => session.query(candles)) };
  } finally {
    session.close();
  }
}

async function openAndCount({ lake }: OpenLake): Promise<void> {
  const second = await openLake(lake);
  try {
    const session = await QuerySession.open(second);
    await session.figure("select count(*) from gold.fact_crypto_hourly");
    session.close();
  } finally {
    await second.close();
  }
}

/** One run varies by half with what else the machine does. */
const ROUNDS = 5;

async function medianTime(work: () => unknown): Promise<number> {
  const times_ms: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) times_ms.push(await timed(work));
  return percentile(times_ms, 0.5);
}

async function timed(work: () => unknown): Promise<number> {
  const started_ms = performance.now();
  await work();
  return performance.now() - started_ms;
}

/** Figures that must not grow with the age of a lake: the last sample is compared with the first. */
export const COMPARED = [
  "increment_s",
  "commit_ms",
  "questions_ms",
  "candles_ms",
  "open_ms",
  "metadata_bytes",
  "rss_mb",
  "worker_rss_mb",
  "files",
  "table_bytes",
] as const;

export function growthOf({ samples }: DayFigures): Record<(typeof COMPARED)[number], number> {
  const [first, last] = [samples[0], samples.at(-1)];
  return Object.fromEntries(COMPARED.map((name) => [name, (last?.[name] ?? NaN) / (first?.[name] ?? NaN)])) as Record<
    (typeof COMPARED)[number],
    number
  >;
}

/** Writes `lake-day.json` and `lake-day.svg` to docs/benchmarks; returns the folder. */
export function writeChart(figures: DayFigures, about: object): string {
  const folder = join(projectFolder(), "docs", "benchmarks");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "lake-day.json"), `${JSON.stringify({ ...about, ...figures }, null, 2)}\n`);
  const { samples } = figures;
  const line = (name: string, of: (sample: DaySample) => number) => ({ name, values: samples.map(of) });
  const charts = [
    {
      title: figures.is_light ? "Increment, by DuckDB in place of dbt" : "Increment, by dbt",
      unit: "s",
      lines: [line("", (sample) => sample.increment_s)],
    },
    { title: "Commit to bronze", unit: "ms", lines: [line("", (sample) => sample.commit_ms)] },
    {
      title: "Queries",
      unit: "ms",
      lines: [line("5 questions", (sample) => sample.questions_ms), line("candles", (sample) => sample.candles_ms)],
    },
    {
      title: "Memory",
      unit: "MB",
      lines: [line("process", (sample) => sample.rss_mb), line("dbt worker", (sample) => sample.worker_rss_mb)],
    },
    { title: "Files in the lake", unit: "count", lines: [line("", (sample) => sample.files)] },
    {
      title: "Table files",
      unit: "MB",
      lines: [line("on disk", (sample) => sample.table_bytes / 1e6), line("live", (sample) => sample.live_bytes / 1e6)],
    },
  ];
  writeFileSync(
    join(folder, "lake-day.svg"),
    drawCharts(
      charts,
      samples.map(({ minutes }) => minutes / 60),
      "simulated hours",
    ),
  );
  return folder;
}
