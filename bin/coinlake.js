#!/usr/bin/env node
// The installed command: set-up, then the command line, with the arguments as given.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const bootstrap = fileURLToPath(new URL("bootstrap.js", import.meta.url));
const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const result = spawnSync(process.execPath, [bootstrap, "--", "node", main, ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = result.status ?? 1;
