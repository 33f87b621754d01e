import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, describe, test } from "node:test";
import type { Command } from "commander";
import { program } from "../../src/cli/main.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { temporaryFolder } from "../support/coinlake.ts";

/**
 * The output of `npm start -- --help` before the installation. After a change of the command line:
 *   UPDATE_HELP=1 npm test -- cli/stored-help
 */
const FOLDER = join(projectFolder(), "bin", "help");

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => 80,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text;
}

const whole = await program();

function stored(): Record<string, string> {
  const start = whole.commands.find((command) => command.name() === "start");
  assert.ok(start !== undefined);
  const options = new Set(
    everyCommand(whole).flatMap((command) => command.options.flatMap(({ long }) => (long ? [long.slice(2)] : []))),
  );
  return {
    "coinlake.txt": helpOf(whole),
    "start.txt": helpOf(start),
    "options.txt": `${[...options].toSorted().join("\n")}\n`,
  };
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
    for (const [name, text] of Object.entries(wanted))
      assert.equal(
        readFileSync(join(FOLDER, name), "utf8"),
        text,
        `bin/help/${name}: run UPDATE_HELP=1 npm test -- cli/stored-help`,
      );
  });

  /** Runs the bootstrap as in a fresh clone. */
  function bootstrap(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const clone = join(folder.path, "clone");
    for (const name of ["bin", "package.json", "package-lock.json"])
      cpSync(join(projectFolder(), name), join(clone, name), { recursive: true });
    // Installing fails, so a case that installs fails too.
    const done = spawnSync(
      process.execPath,
      [join(clone, "bin", "bootstrap.js"), "--", "node", "src/cli/main.ts", ...args],
      { cwd: clone, encoding: "utf8", env: { PATH: "/nowhere", ...env } },
    );
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

  test("after the set-up the command line answers itself, also if this Node is too old and another installed", () => {
    bootstrap(["--help"]);
    const clone = join(folder.path, "clone");
    const bootstrap_js = join(clone, "bin", "bootstrap.js");
    const [, wanted = ""] = /NODE_PACKAGE = "(.*)"/.exec(readFileSync(bootstrap_js, "utf8")) ?? [];
    const digest = createHash("sha256")
      .update(readFileSync(join(clone, "package-lock.json")))
      .digest("hex");
    const binaries = join(clone, ".tools", "node", "node_modules", "node", "bin");
    for (const made of [binaries, join(clone, "node_modules"), join(clone, "src", "cli")])
      mkdirSync(made, { recursive: true });
    symlinkSync(process.execPath, join(binaries, basename(process.execPath)));
    writeFileSync(join(clone, ".tools", "node.stamp"), wanted);
    writeFileSync(join(clone, ".tools", "packages.stamp"), digest);
    writeFileSync(join(clone, "src", "cli", "main.ts"), "console.log(process.argv.slice(2).join(' '))");
    const old = `data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.20.2"})`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", old, bootstrap_js, "--", "node", "src/cli/main.ts", "transform", "--help"],
      { cwd: clone, encoding: "utf8", env: { PATH: "/nowhere" } },
    );
    assert.deepEqual([status, stdout], [0, "transform --help\n"], stderr);
    rmSync(clone, { recursive: true });
  });

  test("options that npm took as its own are named, with the command that was meant", () => {
    const start = bootstrap(["start"], {
      npm_lifecycle_event: "start",
      npm_config_port: "4100",
      npm_config_until_drained: "true",
    });
    assert.equal(start.status, 2);
    const next = /next: put -- before them: npm start -- --port 4100 --until-drained$/;
    assert.match(start.stderr, new RegExp(`error npm consumed these options.*\\[USAGE\\]\\n {2}${next.source}`, "m"));
    assert.ok(start.is_untouched);
    const query = bootstrap(["query", "select 1"], { npm_lifecycle_event: "coinlake", npm_config_json: "true" });
    assert.match(query.stderr, /npm run -s coinlake -- query "select 1" --json$/m);
  });

  test("an option that npm switched off is named too, and npm's own configuration is no option that was typed", () => {
    const negative = bootstrap(["start"], { npm_lifecycle_event: "start", npm_config_maintain: "" });
    assert.match(negative.stderr, /npm start -- --no-maintain$/m);
    const npmrc = join(folder.path, "npmrc");
    writeFileSync(npmrc, "; mine\njson=true\nonly = prod\nmaintain=false\n");
    const configured = {
      npm_lifecycle_event: "start",
      npm_config_json: "true",
      npm_config_only: "prod",
      npm_config_maintain: "",
    };
    const quiet = bootstrap(["start", "--help"], { ...configured, npm_config_userconfig: npmrc });
    assert.deepEqual([quiet.status, quiet.stderr], [0, ""]);
    assert.match(
      bootstrap(["start"], { ...configured, NPM_CONFIG_JSON: "true", NPM_CONFIG_MAINTAIN: "false" }).stderr,
      /npm start -- --only prod$/m,
    );
  });

  test("npm itself hands its options and its configuration over in this way", () => {
    bootstrap(["start", "--help"]);
    const is_windows = process.platform === "win32";
    // Any other call would install: every case is an error or asks for help.
    const npm = (npmrc: string, ...args: string[]) => {
      writeFileSync(join(folder.path, "clone", ".npmrc"), npmrc);
      const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
      return spawnSync(is_windows ? "npm.cmd" : "npm", ["start", "-s", ...args], {
        cwd: join(folder.path, "clone"),
        encoding: "utf8",
        env: clean,
        shell: is_windows,
      });
    };
    assert.match(npm("", "--no-maintain", "--json").stderr, /npm start -- --json --no-maintain$/m);
    assert.match(npm("json=true\n", "--until-drained").stderr, /npm start -- --until-drained$/m);
    const { status, stdout, stderr } = npm("json=true\nonly=prod\n", "--", "--help");
    assert.deepEqual([status, stdout], [0, readFileSync(join(FOLDER, "start.txt"), "utf8")], stderr);
  });

  test("the README asks for the Node that package.json asks for, and names the one that the bootstrap fetches", () => {
    const readme = readFileSync(join(projectFolder(), "README.md"), "utf8");
    const { engines } = JSON.parse(readFileSync(join(projectFolder(), "package.json"), "utf8")) as {
      engines: { node: string };
    };
    const [, major, minor] =
      /NODE_WANTED = \[(\d+), (\d+)\]/.exec(readFileSync(join(projectFolder(), "bin", "bootstrap.js"), "utf8")) ?? [];
    assert.match(
      readme,
      new RegExp(`Node ${engines.node.replace(">=", "")} or newer with npm[^.]*older than ${major}\\.${minor}`),
    );
  });
});
