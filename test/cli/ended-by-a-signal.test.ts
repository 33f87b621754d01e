import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { projectFolder } from "../../src/lake/tools.ts";

for (const [signal, code, reason] of [
  [
    "SIGABRT",
    134,
    /ended by an error in native code, such as DuckDB's \(SIGABRT\)\n {2}next: Run the same command again; what/,
  ],
  ["SIGKILL", 137, /ended from outside: by another program, or by the system for lack of memory \(SIGKILL\)/],
  ["SIGINT", 130, /^error The command was interrupted .*\[INTERRUPTED\]\n {2}next: Run the same command again\.\n$/],
] as const) {
  test(`an end by ${signal} is explained after the process has died, with the exit code that shells use`, () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        join(projectFolder(), "bin", "bootstrap.js"),
        "--quiet",
        "--",
        "node",
        "-e",
        `process.kill(process.pid, "${signal}"); setInterval(() => {}, 1000)`,
      ],
      { encoding: "utf8" },
    );
    assert.equal(status, code, stderr);
    assert.match(stderr, reason);
  });
}
