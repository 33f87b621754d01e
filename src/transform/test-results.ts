import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandResult, NodeResult } from "./worker.ts";
import { makeFolder } from "../base/folder.ts";

/** The last result of each dbt test, from any run: the pipeline, or `coinlake dbt test` in a separate process. */

const FILE = "test-results.json";
const FORMAT = 1;
const FAILED = new Set(["fail", "error"]);

export interface TestRun {
  /** The time of the oldest result. */
  ran_at_us: number;
  result: CommandResult;
}

interface StoredTest extends NodeResult {
  ran_at_us: number;
}

interface Stored {
  format: typeof FORMAT;
  is_success: boolean;
  seconds: number;
  tests: StoredTest[];
}

/** The test nodes of a command; dbt lists other nodes too. Pure. */
export function testsOf({ nodes }: Pick<CommandResult, "nodes">): NodeResult[] {
  return nodes.filter(({ kind }) => kind === "test");
}

export function failedOf(result: Pick<CommandResult, "nodes">): NodeResult[] {
  return testsOf(result).filter(({ status }) => FAILED.has(status));
}

/** Stores the results in a file of the lake's dbt folder. */
export class TestResults {
  readonly #file: string;
  #read: { modified_ms: number; run: TestRun | null } | null = null;

  constructor(dbt_folder: string) {
    this.#file = join(dbt_folder, FILE);
  }

  /** Stores results. Results of a part of the tests replace earlier ones of the same tests; the others stay. */
  record(result: CommandResult, ran_at_us: number, { is_whole = true }: { is_whole?: boolean } = {}): void {
    const fresh = testsOf(result).map((test) => ({ ...test, ran_at_us }));
    if (fresh.length === 0) return;
    const names = new Set(fresh.map(({ name }) => name));
    const kept = is_whole ? [] : (this.#load()?.tests ?? []).filter(({ name }) => !names.has(name));
    const tests = [...kept, ...fresh];
    const stored: Stored = {
      format: FORMAT,
      is_success: !tests.some(({ status }) => FAILED.has(status)),
      seconds: result.seconds,
      tests,
    };
    makeFolder(join(this.#file, ".."));
    const draft = `${this.#file}.${process.pid}.tmp`;
    writeFileSync(draft, JSON.stringify(stored));
    renameSync(draft, this.#file);
  }

  /** Null before the first run, and for a file of another version. */
  read(): TestRun | null {
    const modified_ms = statSync(this.#file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (this.#read?.modified_ms === modified_ms) return this.#read.run;
    const stored = this.#load();
    const run = stored === null ? null : runOf(stored);
    this.#read = { modified_ms, run };
    return run;
  }

  #load(): Stored | null {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    try {
      const stored = JSON.parse(text) as Stored;
      return stored.format === FORMAT ? stored : null;
    } catch {
      // The file is damaged; the next run writes it again.
      return null;
    }
  }
}

function runOf({ is_success, seconds, tests }: Stored): TestRun {
  const nodes = tests.map(({ ran_at_us: _ran_at_us, ...node }) => node);
  return {
    ran_at_us: Math.min(...tests.map(({ ran_at_us }) => ran_at_us)),
    result: { is_success, seconds, cpu_seconds: 0, nodes },
  };
}

interface RunResults {
  metadata: { generated_at: string };
  elapsed_time: number;
  args: { which?: string; select?: unknown[]; exclude?: unknown[] };
  results: {
    unique_id: string;
    status: string;
    execution_time: number;
    message: string | null;
    failures: number | null;
  }[];
}

/** The results in dbt's `target/run_results.json`; null where dbt wrote no file since `since_ms`, or ran no test. */
export function readRunResults(
  dbt_folder: string,
  since_ms: number,
): { result: CommandResult; is_whole: boolean } | null {
  let left: RunResults;
  try {
    left = JSON.parse(readFileSync(join(dbt_folder, "target", "run_results.json"), "utf8")) as RunResults;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  if (Date.parse(left.metadata.generated_at) < since_ms) return null;
  const nodes = left.results.map(({ unique_id, status, execution_time, message, failures }) => {
    const [kind = "", , name = ""] = unique_id.split(".");
    return { name, kind, status, seconds: execution_time, message, failures };
  });
  if (!nodes.some(({ kind }) => kind === "test")) return null;
  const { which, select = [], exclude = [] } = left.args;
  const is_whole = (which === "test" || which === "build") && select.length === 0 && exclude.length === 0;
  return {
    result: { is_success: failedOf({ nodes }).length === 0, seconds: left.elapsed_time, cpu_seconds: 0, nodes },
    is_whole,
  };
}
