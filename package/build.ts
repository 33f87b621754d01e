import { execFileSync } from "node:child_process";
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { bundle, packAssets } from "../dashboard/build.ts";
import { projectFolder } from "../src/lake/tools.ts";

/**
 * Builds `dist/`, the content of the npm package: Node does not strip types below `node_modules`, so the package holds
 * JavaScript. `dist/` has the layout of the checkout, so that paths relative to a module or to the project's folder are
 * the same in both. `npm pack` runs this script, and deletes `dist/` afterwards.
 */
const project = projectFolder();
const target = join(project, "dist");
/** Everything that runs, apart from the dashboard, which is bundled. */
const FOLDERS = [
  "airflow",
  "bin",
  ...globSync("dbt_*", { cwd: project }),
  "pipelines",
  "producers",
  "quality",
  "requirements",
  "src",
  "streaming",
];
/** By extension or name: sources, files for development, and what dbt and Python write beside their sources. */
const LEFT_OUT = new Set(
  ".ts .in .md Dockerfile notebooks notebook.txt test.txt target logs dbt_packages .user.yml __pycache__".split(" "),
);

rmSync(target, { recursive: true, force: true });
for (const folder of FOLDERS)
  cpSync(join(project, folder), join(target, folder), {
    recursive: true,
    filter: (path) => !LEFT_OUT.has(extname(path)) && !LEFT_OUT.has(basename(path)),
  });
cpSync(join(project, "package.json"), join(target, "package.json"));
const compiler = join(project, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [compiler, "-p", join(project, "package")], { stdio: ["ignore", 2, 2] });
writeFileSync(join(target, "dashboard", "assets.json"), packAssets(await bundle(asInstalled)));
for (const file of globSync("**/*.{js,txt}", { cwd: target }).map((path) => join(target, path))) {
  const text = readFileSync(file, "utf8");
  if (text !== asInstalled(text)) writeFileSync(file, asInstalled(text));
}

/** Commands in help, hints and messages as the user of the package types them: `coinlake` instead of npm's scripts. */
function asInstalled(text: string): string {
  return text.replaceAll("npm run -s coinlake --", "coinlake").replaceAll(/npm start(?: --(?= ))?/g, "coinlake start");
}
