import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { uniform } from "../../producers/simulated/random.ts";
import { startCatalogServer, type CatalogServer } from "../../src/catalog/server.ts";
import { openLake, type OpenLake } from "../../src/lake/open.ts";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import { embeddedEngine } from "../../src/transform/engine.ts";
import { DbtWorker } from "../../src/transform/worker.ts";
import { coinlake } from "../support/coinlake.ts";
import { Disk, filesBelow } from "./disk.ts";
import { append, build, digest, heads, ingest, recordsIn, type Digests } from "./lake.ts";
import { readTrace, traced, type Operation } from "./trace.ts";
import type { Compared, Comparison, Workload } from "./workload.ts";
import { workloadOf } from "./workloads.ts";

const LIFE = fileURLToPath(new URL("life.ts", import.meta.url));
/** All draws depend on it and on the seed of a cut. */
const DRAWS_SEED = 5;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const run = promisify(execFile);

/**
 * What had been acknowledged at a position of the trace: the lake, a number of records, of which the source remembers
 * the first ones, and commits by table.
 */
interface Acknowledged {
  lake: string | null;
  appended: number;
  remembered: number;
  heads: Record<string, number>;
}

interface Mark {
  /** Position in the trace. */
  end: number;
  acknowledged: Partial<Acknowledged>;
}

export interface RunOptions {
  /** Selects the workload. */
  pipeline: string;
  /** Of the input, in the workload's unit. */
  size: number;
  /** Rounds of appends, ingest, dbt and, from the second on, maintenance. */
  rounds: number;
}

export interface Cut extends Comparison {
  seed: number;
  /** The part of the run after which the power was cut, from 0 to 1. */
  moment: number;
  acknowledged: Acknowledged;
  /** Records in the log after the cut. */
  kept_records: number;
}

/** One recorded run of a lake, whose power can be cut at any moment. */
export class RecordedRun {
  readonly #workload: Workload;
  readonly #data_folder: string;
  readonly #operations: readonly Operation[];
  readonly #marks: readonly Mark[];
  readonly #digests: Digests;
  /** One dbt worker for the lakes after all cuts: it has one catalog address, at which the open lake answers. */
  readonly #worker: DbtWorker;
  readonly #front: CatalogServer;
  readonly #opened: { lake: OpenLake | null };

  private constructor(parts: {
    workload: Workload;
    data_folder: string;
    operations: readonly Operation[];
    marks: readonly Mark[];
    digests: Digests;
    worker: DbtWorker;
    front: CatalogServer;
    opened: { lake: OpenLake | null };
  }) {
    this.#workload = parts.workload;
    this.#data_folder = parts.data_folder;
    this.#operations = parts.operations;
    this.#marks = parts.marks;
    this.#digests = parts.digests;
    this.#worker = parts.worker;
    this.#front = parts.front;
    this.#opened = parts.opened;
  }

  /** Records a run in a separate folder. Throws if the trace does not explain every byte that the run left on disk. */
  static async record(folder: string, { pipeline, size, rounds }: RunOptions): Promise<RecordedRun> {
    const workload = workloadOf(pipeline).open(folder, size);
    await workload.prepare();
    const data_folder = join(folder, "data");
    mkdirSync(data_folder);
    const [record, marks_file, digests_file] = ["record.txt", "marks.jsonl", "digests.json"].map((name) =>
      join(folder, name),
    );
    assert.ok(record && marks_file && digests_file);
    const life = [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      LIFE,
      pipeline,
      folder,
      String(size),
      String(rounds),
      data_folder,
      marks_file,
      digests_file,
    ];
    const { command, args, env } = traced(life, record);
    await run(command, args, { env: { ...process.env, ...env }, maxBuffer: MAX_OUTPUT_BYTES });
    const all = readTrace(record, folder, isCache);
    const operations = all.filter(
      (operation) =>
        pathsOf(operation).some((path) => `${path}/`.startsWith(`${data_folder}/`)) || operation.kind === "seek",
    );
    const marks = all.flatMap((operation) =>
      operation.kind === "write" && operation.path === marks_file
        ? [{ end: operation.end, acknowledged: JSON.parse(String(operation.bytes)) as Partial<Acknowledged> }]
        : [],
    );
    explains(operations, data_folder);
    const opened: { lake: OpenLake | null } = { lake: null };
    const front = await startCatalogServer({
      port: 0,
      get catalog() {
        if (opened.lake === null) throw new Error("no lake is open");
        return opened.lake.catalog;
      },
    });
    const worker = new DbtWorker({
      project: workload.pipeline.transform.project,
      engine: embeddedEngine({ server: front, s3: null }),
      folder: join(folder, "dbt"),
    });
    const digests = JSON.parse(readFileSync(digests_file, "utf8")) as Digests;
    return new RecordedRun({ workload, data_folder, operations, marks, digests, worker, front, opened });
  }

  /** The number of file operations, and the number of syncs among them. */
  get size(): { operations: number; syncs: number } {
    return {
      operations: this.#operations.length,
      syncs: this.#operations.filter(({ kind }) => kind === "sync").length,
    };
  }

  /**
   * Cuts the power at a moment determined by the seed, restarts, and asserts that no acknowledged data is lost, that
   * every snapshot has its rows, and that after the whole input the lake holds what it should. The `start` command
   * continues from the folder, and `verify` follows; or its components do, with a warm dbt worker. With `is_rebuilt`,
   * `verify` rebuilds the tables if the comparison leaves some out.
   */
  async cut(seed: number, { by, is_rebuilt }: { by: "command" | "components"; is_rebuilt: boolean }): Promise<Cut> {
    const moment = this.#momentOf(seed);
    const last = this.#operations[moment]?.end ?? 0;
    const disk = new Disk(this.#data_folder);
    for (const operation of this.#operations) if (operation.end <= last) disk.apply(operation);
    let drawn = 0;
    // On a third of the disks no unsynced change survives, on the others some do.
    disk.cutTo(this.#data_folder, seed % 3 === 0 ? () => 0 : () => uniform(DRAWS_SEED, 8, seed, (drawn += 1)));
    const acknowledged: Acknowledged = { lake: null, appended: 0, remembered: 0, heads: {} };
    for (const mark of this.#marks) if (mark.end <= last) Object.assign(acknowledged, mark.acknowledged);
    const kept_records = await this.#checkKept(acknowledged);
    const compared = { recorded: this.#digests, kept_records, remembered_records: acknowledged.remembered };
    const comparison = await (by === "command" ? this.#goOnByCommand(compared, is_rebuilt) : this.#goOn(compared));
    return { seed, moment: moment / this.#operations.length, acknowledged, kept_records, ...comparison };
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#front.close();
  }

  /**
   * The last operation before the power is cut: with an odd seed any of all, with an even one any between two
   * acknowledgements in a row, so that short steps, such as an append, are cut as often as long ones.
   */
  #momentOf(seed: number): number {
    const share = uniform(DRAWS_SEED, 7, seed);
    if (seed % 2 === 1) return Math.floor(share * this.#operations.length);
    const step = Math.floor(share * this.#marks.length);
    const [from, until] = [this.#marks[step]?.end ?? 0, this.#marks[step + 1]?.end ?? Infinity];
    const first = this.#operations.filter(({ end }) => end < from).length;
    const within = this.#operations.filter(({ end }) => end > from && end < until).length;
    return Math.max(0, first - 1) + Math.floor(uniform(DRAWS_SEED, 9, seed) * (within + 1));
  }

  async #checkKept(acknowledged: Acknowledged): Promise<number> {
    if (acknowledged.lake === null) return 0;
    const open = await this.#open();
    try {
      const kept = await recordsIn(open, this.#workload.pipeline);
      assert.ok(kept >= acknowledged.appended, `the log has ${kept} of ${acknowledged.appended} acknowledged records`);
      const found = await heads(open);
      for (const [table, sequence] of Object.entries(acknowledged.heads)) {
        assert.ok(
          (found[table] ?? -1) >= sequence,
          `${table} is at commit ${found[table]}, and ${sequence} was acknowledged`,
        );
      }
      const { at } = await digest(open);
      for (const [id, rows] of Object.entries(at)) {
        // A snapshot that was not acknowledged, and that the run replaced before reading it, has no digest.
        if (this.#digests.at[id] !== undefined) assert.equal(rows, this.#digests.at[id], `snapshot ${id}`);
      }
      return kept;
    } finally {
      await open.close();
    }
  }

  async #goOn(compared: Compared): Promise<Comparison> {
    const { pipeline, ...workload } = this.#workload;
    const open = await this.#open();
    this.#opened.lake = open;
    try {
      await append(open, pipeline, await workload.whole());
      await ingest(open, pipeline);
      await build(open, pipeline, this.#worker);
      return await workload.compare(open, compared);
    } finally {
      this.#opened.lake = null;
      await open.close();
    }
  }

  async #goOnByCommand(compared: Compared, is_rebuilt: boolean): Promise<Comparison> {
    const workload = this.#workload;
    const started = await coinlake(workload.start(this.#data_folder));
    assert.equal(started.code, 0, started.stderr);
    const depth = is_rebuilt && workload.leaves_tables_out ? ["--deep"] : [];
    const verified = await coinlake(["verify", ...depth, "--json", "--data", this.#data_folder]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const open = await this.#open();
    try {
      return await workload.compare(open, compared);
    } finally {
      await open.close();
    }
  }

  async #open(): Promise<OpenLake> {
    return openLake(openOrCreateLake(this.#data_folder, this.#workload.lake));
  }
}

/**
 * Files that dbt parsed and compiled: dbt recreates them if missing. It syncs none of them, so a power cut removes all.
 */
function isCache(path: string): boolean {
  return /\/dbt(?:\/|$)/.test(path);
}

/** Asserts that the disk model, after the whole trace, has exactly the files that the run left. */
function explains(operations: readonly Operation[], data_folder: string): void {
  const disk = new Disk(data_folder);
  for (const operation of operations) disk.apply(operation);
  const modelled = disk.contents();
  const real = filesBelow(data_folder, isCache);
  assert.deepEqual([...modelled.keys()].sort(), [...real.keys()].sort(), "the record has other files than the folder");
  for (const [path, bytes] of real)
    assert.ok(modelled.get(path)?.equals(bytes), `the record does not explain the content of ${path}`);
}

function pathsOf(operation: Operation): string[] {
  if (operation.kind === "rename") return [operation.from, operation.to];
  return operation.kind === "seek" ? [] : [operation.path];
}
