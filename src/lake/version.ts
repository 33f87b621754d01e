import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "./tools.ts";

export const VERSION = (JSON.parse(readFileSync(join(projectFolder(), "package.json"), "utf8")) as { version: string })
  .version;
