import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { cpSync, readFileSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { projectFolder } from "../../src/lake/tools.ts";
import { temporaryFolder, type Finished } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

/**
 * Follows pipelines/README.md in a copy of the checkout: the commands as printed, with another address, folder and
 * ports.
 */
describe("the commands of pipelines/README.md", () => {
  const folder = temporaryFolder();
  const checkout = join(folder.path, "checkout");
  const data = join(folder.path, "lakes");
  const commands = [...readFileSync("pipelines/README.md", "utf8").matchAll(/^npm .*$/gm)].map(([line]) => line);
  const children: ChildProcess[] = [];
  let server: Server;
  let url: string;

  before(async () => {
    const files = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0").filter(Boolean);
    for (const file of files) cpSync(file, join(checkout, file), { recursive: true });
    for (const name of ["node_modules", ".tools"]) symlinkSync(join(projectFolder(), name), join(checkout, name));
    server = createServer((_request, response) => {
      const at = new Date().toISOString();
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify([
          { station: "Bremen", value: 21.5, at },
          { station: "Kiel", value: "wet", at },
        ]),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/readings.json`;
  });
  after(() => {
    for (const child of children) child.kill("SIGKILL");
    server?.closeAllConnections();
    server?.close();
    folder.remove();
  });

  /** The command of the page that begins with these words, as arguments of the command line. */
  function printed(start: string): string[] {
    const line = commands.find((command) => command.replace(/^npm (run -s coinlake -- )?/, "").startsWith(start));
    assert.ok(line !== undefined, `pipelines/README.md has no command ${start}`);
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
    return words
      .slice(words[1] === "start" ? 1 : 5)
      .filter((word) => word !== "--")
      .map((word) => (word.startsWith("http:") ? url : word));
  }

  function start(args: string[]) {
    const main = join(checkout, "src", "cli", "main.ts");
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], {
      cwd: checkout,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    const finished = new Promise<Finished>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal, ...output }));
    });
    return { child, output, finished };
  }

  async function run(args: string[]): Promise<string> {
    const { code, stdout, stderr } = await start(args).finished;
    assert.equal(code, 0, stderr);
    return stdout;
  }

  test("create tables, a question and a live pipeline without a change in src/ and dashboard/", async () => {
    await run(printed("new pipeline"));
    const running = start([...printed("start"), "--data", data, "--port", "0", "--catalog-port", "0"]);
    const ended = running.finished.then(({ stderr }) => assert.fail(`the pipeline ended: ${stderr}`));
    ended.catch(() => {});
    let said = "";
    const isAnswered = async () => {
      said = (await start([...printed("ask"), "--data", data]).finished).stdout;
      return /Bremen[ │]+21\.5/.test(said);
    };
    await Promise.race([ended, eventually(isAnswered, { what: () => said, timeout_ms: 120_000, interval_ms: 500 })]);
    assert.match(await run([...printed("query"), "--data", data]), /value_not_a_number/);
    running.child.kill("SIGINT");
    assert.equal((await running.finished).code, 0, running.output.stderr);
    await run([...printed("verify"), "--data", data]);
    await run(["dbt", "--data", data, "test"]);
  });

  test("build a model that the reader adds", async () => {
    await run(printed("new model"));
    const [command = "", ...words] = printed("dbt run");
    await run([command, "--data", data, ...words]);
    const rows = await run(["query", "select count(*) > 0 as has_rows from gold.weather_extremes", "--data", data]);
    assert.match(rows, /true/);
  });

  test("reject a wrong name or address and a taken name, and change nothing in src/ and dashboard/", async () => {
    for (const [args, code] of [
      [["weather"], /exists already/],
      [["Wet Weather"], /Invalid name/],
      [["trams", "--url", "ftp://127.0.0.1/trams"], /begins with http/],
    ] as const) {
      const { code: exit, stderr } = await start(["new", "pipeline", ...args]).finished;
      assert.equal(exit, 2, stderr);
      assert.match(stderr, code);
    }
    const unchanged = execFileSync("git", ["ls-files", "-z", "src", "dashboard"], { encoding: "utf8" });
    for (const file of unchanged.split("\0").filter(Boolean))
      assert.deepEqual(readFileSync(join(checkout, file)), readFileSync(file), file);
  });
});
