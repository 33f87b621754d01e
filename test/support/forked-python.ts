import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder, pythonExecutable, toolsFolder } from "../../src/lake/tools.ts";

/** Folders that the tests may create in the tools' folder; the next run finds them there. */
const CREATED = ["dashboard", "dbt", "notebook", "quality"];
/** The longest path of a socket, in bytes. */
const SOCKET_PATH_MAX = 100;
const SUPPORT = join(projectFolder(), "test", "support");

/**
 * Lets dbt workers of this run's tests start as forks of one process that has imported dbt: a start takes 0.8 s of CPU
 * in place of 2.8 s. The rest of a start remains, such as the environment and the parsing of the project. Workers that
 * tests kill, trace or give another clock start as usual, and so do all workers of a process in whose environment
 * COINLAKE_TEST_OWN_PYTHON is set. Tests see a tools' folder of links with another `python`. Without Linux nothing
 * changes.
 */
export function startForkedPython(folder: string): { stop(): void } {
  const socket = join(folder, "forks.sock");
  if (process.platform !== "linux" || socket.length > SOCKET_PATH_MAX) return { stop: () => {} };
  const python = pythonExecutable();
  const tools = join(folder, "tools");
  for (const name of CREATED) mkdirSync(join(toolsFolder(), name), { recursive: true });
  linkAll(toolsFolder(), tools, ["python"]);
  linkAll(join(toolsFolder(), "python"), join(tools, "python"), ["bin"]);
  linkAll(join(toolsFolder(), "python", "bin"), join(tools, "python", "bin"), ["python"]);
  writeFileSync(
    join(tools, "python", "bin", "python"),
    `#!/bin/sh
case "$1" in
  */src/transform/worker.py) exec "${python}" -I -S "${join(SUPPORT, "fork-client.py")}" "${python}" "${socket}" "$@" ;;
esac
exec "${python}" "$@"
`,
    { mode: 0o755 },
  );
  // The server ends when this process does, because its standard input ends.
  const server = spawn(python, [join(SUPPORT, "fork-server.py"), socket], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  process.env["COINLAKE_TOOLS"] = tools;
  return { stop: () => void server.stdin?.end() };
}

/** Makes a folder of links to the entries of another, except for some. */
function linkAll(from: string, to: string, except: readonly string[]): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) if (!except.includes(name)) symlinkSync(join(from, name), join(to, name));
}
