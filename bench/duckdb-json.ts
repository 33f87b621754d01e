import { DuckDBInstance } from "@duckdb/node-api";
import { join } from "node:path";
import { cpus } from "node:os";

/** The peer of the orders benchmark, as a process: JSON files to one Parquet file by DuckDB alone, without checks. */
const [folder = "", target = ""] = process.argv.slice(2);
const instance = await DuckDBInstance.create(":memory:", { threads: String(cpus().length) });
const connection = await instance.connect();
const files = join(folder, "*.jsonl").replaceAll("'", "''");
await connection.run(
  `copy (
    select * from read_json('${files}', format = 'newline_delimited', ignore_errors = true, union_by_name = true)
  ) to '${target.replaceAll("'", "''")}' (format parquet)`,
);
connection.closeSync();
instance.closeSync();
