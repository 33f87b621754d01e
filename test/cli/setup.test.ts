import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { projectFolder } from "../../src/lake/tools.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

const SETUP = join(projectFolder(), "setup.sh");
/** The programs that the script itself uses. */
const SYSTEM = ["sh", "sed", "dirname", "df", "awk", "ls", "pwd"];

describe("setup.sh", { skip: process.platform === "win32" ? "setup.ps1 is for Windows" : false }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  /** Runs the script on a machine with these programs only: a path, or the text of a shell script. */
  function runWith(name: string, programs: Record<string, string>, ...args: string[]) {
    const bin = join(folder.path, name);
    mkdirSync(bin);
    for (const program of SYSTEM) {
      if (program in programs) continue;
      const found = spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim();
      if (found.startsWith("/")) symlinkSync(found, join(bin, program));
    }
    for (const [program, text] of Object.entries(programs)) {
      if (text.startsWith("/")) symlinkSync(text, join(bin, program));
      else {
        writeFileSync(join(bin, program), `#!/bin/sh\n${text}\n`);
        chmodSync(join(bin, program), 0o755);
      }
    }
    const { status, stderr } = spawnSync(join(bin, "sh"), [SETUP, ...args], {
      env: { PATH: bin, HOME: folder.path },
      encoding: "utf8",
    });
    return { status, stderr };
  }

  const python = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], {
    encoding: "utf8",
  }).stdout.trim();
  const whole = { node: process.execPath, npm: "exit 0", python3: `exec ${python} "$@"` };

  test("finds installed requirements", () => {
    const { status, stderr } = runWith("whole", whole, "--check");
    assert.equal(status, 0, stderr);
    assert.match(stderr, /All requirements are met: Node\.js \d+/);
  });

  test("names each missing requirement, and the command that installs it on this system", () => {
    const { status, stderr } = runWith("empty", { "apt-get": "exit 0" }, "--check");
    assert.equal(status, 2);
    assert.match(stderr, /missing: Node\.js 18 or newer\n\s+sudo apt-get install nodejs npm/);
    assert.match(stderr, /missing: Python 3\.10 or newer, for dbt\n\s+sudo apt-get install python3 python3-venv/);
  });

  test("reports outdated Node.js and Python, and a missing venv module", () => {
    const old = runWith("old", { ...whole, node: 'echo "16.20.2"', python3: "exit 1", brew: "exit 0" }, "--check");
    assert.equal(old.status, 2);
    assert.match(old.stderr, /Node\.js 18 or newer \(this is 16\.20\.2\)\n\s+Update it: brew install node/);
    assert.match(old.stderr, /Python 3\.10 or newer/);
    const python3 = `case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac`;
    assert.match(runWith("no-venv", { ...whole, python3 }, "--check").stderr, /missing: Python's venv module/);
  });

  test("reports how much disk space is missing", () => {
    const df = "printf 'Filesystem 1M-blocks Used Available Capacity Mounted\\n/dev/x 1000 900 100 90%% /\\n'";
    const { status, stderr } = runWith("full", { ...whole, df }, "--check");
    assert.equal(status, 2);
    assert.match(stderr, /disk space: 100 MB are free .*, 3000 MB are needed/);
  });

  test("reports what a cluster needs without Docker", () => {
    const { status, stderr } = runWith("no-docker", whole, "--cluster");
    assert.equal(status, 2);
    assert.match(stderr, /missing: java, for the native servers \(Docker was not found or is not running\)/);
  });

  test("passes options to npm start, and rejects them with --check", () => {
    const npm = 'echo "npm $*" >&2';
    assert.match(
      runWith("options", { ...whole, npm }, "--source", "simulated").stderr,
      /npm start -- --source simulated/,
    );
    assert.equal(runWith("wrong", whole, "--check", "--source").status, 2);
  });
});

test(
  "a command that Ctrl-C ends reports the interruption and exits with 130",
  { skip: process.platform === "win32" },
  async () => {
    const command = ["-e", "console.log('running'); setInterval(() => {}, 1_000)"];
    const bootstrap = join(projectFolder(), "bin", "bootstrap.js");
    // In a separate process group, because a terminal sends Ctrl-C to all processes of the command.
    const running = spawn(process.execPath, [bootstrap, "--", "node", ...command], { detached: true });
    let stderr = "";
    running.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const ended = once(running, "close");
    await once(running.stdout, "data");
    process.kill(-(running.pid ?? 0), "SIGINT");
    assert.deepEqual(await ended, [130, null], stderr);
    assert.match(stderr, /^error The command was interrupted .*\n {2}next: Run the same command again\.\n$/);
  },
);

describe("bin/bootstrap.js", { skip: process.platform === "win32" ? "Windows has no signals" : false }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  test("reports that Ctrl-C stopped the set-up, exits with 130, and repeats the stopped step next time", async () => {
    for (const name of ["bin", "package.json", "package-lock.json"])
      cpSync(join(projectFolder(), name), join(folder.path, name), { recursive: true });
    const calls = join(folder.path, "npm-calls");
    const bin = join(folder.path, "programs");
    mkdirSync(bin);
    // Installs a part, and then waits until a signal ends it.
    writeFileSync(
      join(bin, "npm"),
      `#!/bin/sh\nmkdir -p "${folder.path}/node_modules"\necho called >>"${calls}"\nexec sleep 60\n`,
    );
    chmodSync(join(bin, "npm"), 0o755);
    const { npm_execpath: _none, ...env } = process.env;
    for (const wanted of [1, 2]) {
      const command = [join(folder.path, "bin", "bootstrap.js"), "--", "node", "-e", "0"];
      const setup = spawn(process.execPath, command, {
        env: { ...env, PATH: `${bin}:${env["PATH"]}` },
        stdio: ["ignore", "ignore", "pipe"],
      });
      let stderr = "";
      setup.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      const ended = once(setup, "close");
      const count = () => (existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n").length : 0);
      await eventually(() => count() === wanted, { what: () => `npm call ${wanted}: ${stderr}` });
      setup.kill("SIGINT");
      assert.deepEqual(await ended, [130, null], stderr);
      assert.match(
        stderr,
        /installing Node packages .*\nerror The set-up was stopped .*\n {2}next: Run the same command/,
      );
    }
  });
});
