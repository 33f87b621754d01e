import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { projectFolder, toolsFolder } from "../../src/lake/tools.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

/** Limit for the first increment of a lake, which compiles the models; an idle machine takes ten seconds. */
const FIRST_INCREMENT_TIMEOUT_MS = 600_000;
const folder = temporaryFolder();
const modules = join(folder.path, "node_modules");
const installed = join(modules, "coinlake");
const manifest = JSON.parse(readFileSync(join(projectFolder(), "package.json"), "utf8")) as {
  version: string;
  bin: { coinlake: string };
  dependencies: Record<string, string>;
};
const env = {
  // npm's own variables would change what a nested npm does.
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))),
  COINLAKE_CACHE: join(folder.path, "cache"),
  NODE_COMPILE_CACHE: join(folder.path, "compile-cache"),
  NO_COLOR: "1",
};

/**
 * Installs the package as npm would, without the network: the run-time dependencies are links to those of this
 * checkout, and the cache has its Python environment and extensions.
 */
function install(): void {
  const pack = spawnSync("npm", ["pack", "--loglevel=error", "--pack-destination", folder.path], {
    cwd: projectFolder(),
    encoding: "utf8",
    env,
    shell: process.platform === "win32",
  });
  assert.equal(pack.status, 0, pack.stdout + pack.stderr);
  mkdirSync(installed, { recursive: true });
  const archive = join(folder.path, `coinlake-${manifest.version}.tgz`);
  const unpack = spawnSync("tar", ["-xzf", archive, "-C", installed, "--strip-components=1"], { encoding: "utf8" });
  assert.equal(unpack.status, 0, unpack.stderr);
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(projectFolder(), "node_modules", name), join(modules, name), "junction");
  }
  const tools = join(env.COINLAKE_CACHE, `package-${manifest.version}`);
  mkdirSync(tools, { recursive: true });
  for (const name of ["python", "duckdb"]) {
    symlinkSync(join(toolsFolder(), name), join(tools, name), "junction");
    copyFileSync(join(toolsFolder(), `${name}.stamp`), join(tools, `${name}.stamp`));
  }
}

/** Runs the installed command in an empty folder. */
function coinlakeIn(name: string, args: readonly string[]): { child: ChildProcess; output: () => string } {
  const cwd = join(folder.path, name);
  mkdirSync(cwd, { recursive: true });
  const child = spawn(process.execPath, [join(installed, manifest.bin.coinlake), ...args], { cwd, env });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  return { child, output: () => output };
}

async function ended({ child, output }: ReturnType<typeof coinlakeIn>): Promise<string> {
  await eventually(() => child.exitCode !== null || child.signalCode !== null, { what: output });
  assert.equal(child.exitCode, 0, output());
  return output();
}

describe("The npm package", () => {
  before(install);
  after(() => folder.remove());

  test("contains built code and user documents, but no TypeScript, tests or lock file", () => {
    const files = globSync("**/*", { cwd: installed, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(installed.length + 1)
          .replaceAll("\\", "/"),
      );
    assert.deepEqual(files.filter((file) => !file.startsWith("dist/")).sort(), [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "package.json",
    ]);
    assert.deepEqual(
      files.filter((file) => /\.tsx?$|(?:^|\/)(?:test|bench|docs|node_modules)\/|lock\.json$|__pycache__/.test(file)),
      [],
    );
    assert.ok(!existsSync(join(projectFolder(), "dist")), "npm pack deletes what it built");
  });

  test("imports only its dependencies, and names its command as the user types it", () => {
    const scripts = globSync("dist/**/*.js", { cwd: installed }).map((file) => join(installed, file));
    assert.ok(scripts.length > 400, `${scripts.length} scripts`);
    const imported = new Set<string>();
    for (const script of scripts) {
      const text = readFileSync(script, "utf8");
      assert.doesNotMatch(text, /npm run -s coinlake|npm start/, script);
      for (const [, name = ""] of text.matchAll(/^(?:import|export) (?:[^"';]* from )?"([^".][^"]*)"/gm))
        imported.add(name.split("/", name.startsWith("@") ? 2 : 1).join("/"));
    }
    const missing = [...imported].filter((name) => !isBuiltin(name) && manifest.dependencies[name] === undefined);
    assert.deepEqual(missing, []);
  });

  test("shows help, creates a lake in the current folder, serves the dashboard and answers questions", async () => {
    const help = await ended(coinlakeIn("help", ["ask", "--help"]));
    assert.match(help, /^Usage: coinlake ask/);
    assert.match(help, /^ {2}coinlake ask 4 --percent 3/m);
    assert.deepEqual(readdirSync(join(folder.path, "help")), []);

    const start = ["start", "--source", "simulated", "--port", "0", "--catalog-port", "0"];
    const running = coinlakeIn("market", start);
    try {
      const seen = (pattern: RegExp) => () => {
        assert.equal(running.child.exitCode, null, running.output());
        return pattern.exec(running.output());
      };
      const wait = { what: running.output, timeout_ms: FIRST_INCREMENT_TIMEOUT_MS };
      const [, url = ""] = await eventually(seen(/dashboard +(http:\S+)/), wait);
      const page = await (await fetch(url)).text();
      const [, main = ""] = /<script type="module" src="([^"]+)"/.exec(page) ?? [];
      assert.match(await (await fetch(new URL(main, url))).text(), /preact|import/);
      await eventually(seen(/gold updated/), wait);
      const answer = await fetch(new URL("/api/sql", url), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ sql: "select count(*) as rows from gold.fact_crypto_ticks" }),
      });
      assert.match(await answer.text(), /"rows":\[\["[1-9]\d*"\]\]/);
    } finally {
      running.child.kill("SIGTERM");
    }
    // 130: a busy machine did not finish closing within the time for stopping, which is as safe.
    await eventually(() => running.child.exitCode !== null, { what: running.output });
    assert.ok([0, 130].includes(running.child.exitCode ?? -1), running.output());
    assert.match(running.output(), /Stopped cleanly/);
    assert.deepEqual(readdirSync(join(folder.path, "market")), [".coinlake"]);
    assert.match(await ended(coinlakeIn("market", ["ask", "1"])), /bitcoin/);
  });
});
