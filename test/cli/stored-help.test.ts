import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Command } from "commander";
import { program } from "../../src/cli/main.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { temporaryFolder } from "../coinlake.ts";

/**
 * What `npm start -- --help` prints before anything is installed. After a change of the command line:
 *   UPDATE_HELP=1 npm test -- cli/stored-help
 */
const FOLDER = join(projectFolder(), "bin", "help");

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80, getOutHasColors: () => false });
  command.outputHelp();
  return text;
}

function stored(): Record<string, string> {
  const whole = program();
  const start = whole.commands.find((command) => command.name() === "start");
  assert.ok(start !== undefined);
  const options = new Set(everyCommand(whole).flatMap((command) => command.options.flatMap(({ long }) => (long ? [long.slice(2)] : []))));
  return { "coinlake.txt": helpOf(whole), "start.txt": helpOf(start), "options.txt": `${[...options].toSorted().join("\n")}\n` };
}

describe("Help and hints before anything is installed", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  test("the stored help is the help of the command line", () => {
    const wanted = stored();
    if (process.env["UPDATE_HELP"]) {
      mkdirSync(FOLDER, { recursive: true });
      for (const [name, text] of Object.entries(wanted)) writeFileSync(join(FOLDER, name), text);
    }
    for (const [name, text] of Object.entries(wanted)) assert.equal(readFileSync(join(FOLDER, name), "utf8"), text, `bin/help/${name}: run UPDATE_HELP=1 npm test -- cli/stored-help`);
  });

  /** A fresh clone, as far as the bootstrap sees it. */
  function bootstrap(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const clone = join(folder.path, "clone");
    for (const name of ["bin", "package.json", "package-lock.json"]) cpSync(join(projectFolder(), name), join(clone, name), { recursive: true });
    // Whatever it would install, it cannot.
    const done = spawnSync(process.execPath, [join(clone, "bin", "bootstrap.js"), "--", "node", "src/cli/main.ts", ...args], { cwd: clone, encoding: "utf8", env: { PATH: "/nowhere", ...env } });
    return { ...done, is_untouched: !existsSync(join(clone, ".tools")) && !existsSync(join(clone, "node_modules")) };
  }

  for (const args of [["start", "--help"], ["start", "-h"], ["--help"], ["help"]]) {
    test(`coinlake ${args.join(" ")} installs nothing`, () => {
      const { status, stdout, is_untouched } = bootstrap(args);
      assert.equal(status, 0);
      assert.equal(stdout, readFileSync(join(FOLDER, args[0] === "start" ? "start.txt" : "coinlake.txt"), "utf8"));
      assert.ok(is_untouched);
    });
  }

  test("options that npm took as its own are named, with the command that was meant", () => {
    const start = bootstrap(["start"], { npm_lifecycle_event: "start", npm_config_port: "4100", npm_config_until_drained: "true" });
    assert.equal(start.status, 2);
    assert.match(start.stderr, /error npm took these options as its own.*\[USAGE\]\n {2}next: write -- before them: npm start -- --port 4100 --until-drained$/m);
    assert.ok(start.is_untouched);
    const query = bootstrap(["query", "select 1"], { npm_lifecycle_event: "coinlake", npm_config_json: "true" });
    assert.match(query.stderr, /npm run -s coinlake -- query "select 1" --json$/m);
  });

  test("the README asks for the Node that package.json asks for, and names the one that the bootstrap fetches", () => {
    const readme = readFileSync(join(projectFolder(), "README.md"), "utf8");
    const { engines } = JSON.parse(readFileSync(join(projectFolder(), "package.json"), "utf8")) as { engines: { node: string } };
    const [, major, minor] = /NODE_WANTED = \[(\d+), (\d+)\]/.exec(readFileSync(join(projectFolder(), "bin", "bootstrap.js"), "utf8")) ?? [];
    assert.match(readme, new RegExp(`Node ${engines.node.replace(">=", "")} or newer with npm[^.]*older than ${major}\\.${minor}`));
  });
});
