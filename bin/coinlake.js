#!/usr/bin/env node
// The installed command: set-up, then the command line, with the arguments as given.
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, "--", "node", fileURLToPath(new URL("../src/cli/main.ts", import.meta.url)));
await import("./bootstrap.js");
