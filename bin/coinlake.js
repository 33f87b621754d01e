#!/usr/bin/env node
// The installed command: set-up, then the command line, with the arguments as given.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [javascript, typescript] = ["js", "ts"].map((type) =>
  fileURLToPath(new URL(`../src/cli/main.${type}`, import.meta.url)),
);
process.argv.splice(2, 0, "--", "node", existsSync(javascript) ? javascript : typescript);
await import("./bootstrap.js");
