// Answers that need no installation: help, and a hint if npm consumed the options.
// Plain JavaScript, like bootstrap.js: it must run on an old Node.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const help_folder = join(dirname(fileURLToPath(import.meta.url)), "help");

/** The arguments ARG of COMMAND if it is `node src/cli/main.ts ARG ...` (`.js` in the npm package); else null. */
export function coinlakeArguments([program, script = "", ...args]) {
  return program === "node" && /src[/\\]cli[/\\]main\.[jt]s$/.test(script) ? args : null;
}

export function asksForHelp(args) {
  // All arguments after `dbt` belong to dbt.
  if (args[0] === "dbt") return false;
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h" || arg === "help");
}

/** The stored help of `start` or of the whole command line. A test keeps the files up to date. */
export function storedHelp(args) {
  const name = args[0] === "start" ? "start" : "coinlake";
  const text = readFileSync(join(help_folder, `${name}.txt`), "utf8");
  const is_other = args.some((arg) => /^[a-z]/.test(arg) && arg !== "help" && arg !== "start");
  return is_other ? `${text}\nHelp for single commands is available after the set-up; run \`npm start\` once.\n` : text;
}

/**
 * Detects options that npm consumed: `npm start --port 4100` runs the script without them and sets environment
 * variables. Returns the corrected command, or null.
 */
export function swallowedOptions(env, args) {
  const script = env.npm_lifecycle_event;
  if (script !== "start" && script !== "coinlake") return null;
  const file = join(help_folder, "options.txt");
  if (!existsSync(file)) return null;
  const set_before = configuredKeys(env);
  const found = readFileSync(file, "utf8")
    .split("\n")
    .filter((option) => option !== "" && !set_before.has(option.replace(/^no-/, "")))
    .flatMap((option) => {
      // npm reads --no-maintain as `maintain=false`.
      const is_negative = option.startsWith("no-");
      const value = env[`npm_config_${option.replace(/^no-/, "").replaceAll("-", "_")}`];
      if (is_negative) return value === "" || value === "false" ? [`--${option}`] : [];
      return value === undefined || value === "" ? [] : [value === "true" ? `--${option}` : `--${option} ${value}`];
    });
  if (found.length === 0) return null;
  const words = script === "start" ? args.slice(1) : args;
  const typed = words.map((word) => (/^[\w./:@=-]+$/.test(word) ? word : JSON.stringify(word)));
  return ["npm", ...(script === "start" ? ["start"] : ["run", "-s", "coinlake"]), "--", ...typed, ...found].join(" ");
}

/** Keys from npm's configuration files, which the user did not type; some, such as `json`, are Coinlake options too. */
function configuredKeys(env) {
  const files = [
    env.npm_config_userconfig,
    env.npm_config_globalconfig,
    env.npm_config_local_prefix && join(env.npm_config_local_prefix, ".npmrc"),
  ];
  const keys = files.flatMap((file) => (file ? keysOf(file) : []));
  const variables = Object.keys(env).filter((name) => name.startsWith("NPM_CONFIG_"));
  return new Set([
    ...keys,
    ...variables.map((name) => name.slice("NPM_CONFIG_".length).toLowerCase().replaceAll("_", "-")),
  ]);
}

function keysOf(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split(/\r?\n/);
  return lines.flatMap((line) => /^\s*"?([\w.-]+)"?(?:\[\])?\s*(?:=|$)/.exec(line)?.[1]?.replaceAll("_", "-") ?? []);
}
