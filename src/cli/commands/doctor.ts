import { Command } from "commander";
import { OperatingError } from "../../base/errors.ts";
import { DEFAULT_DATA_FOLDER } from "../../lake/lake.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import type { CommonOptions } from "../context.ts";
import { DEFAULT_PORT } from "../../serve/server.ts";
import { examine } from "../doctor.ts";
import { openOutput, styleResult } from "../output.ts";
import { DEFAULT_CATALOG_PORT } from "./start.ts";

const PORTS = [
  { name: "dashboard", number: DEFAULT_PORT, option: "--port", path: "/healthz" },
  { name: "catalog", number: DEFAULT_CATALOG_PORT, option: "--catalog-port", path: "/v1/config" },
];

const MARKS = {
  ok: styleResult("green", "✓"),
  optional: styleResult("dim", "·"),
  warning: styleResult("yellow", "!"),
  missing: styleResult("red", "✗"),
};

export function doctorCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("doctor"))
    .description("check this machine's requirements and the size of its lakes")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- doctor\n\nExits 1 when a requirement is missing.")
    .action(async (options: CommonOptions) => {
      const settings = pipelines
        .flatMap(({ producers }) => Object.values(producers))
        .flatMap((producer) => producer.settings ?? []);
      const output = openOutput(options.json ?? false);
      const findings = await examine(options.data ?? DEFAULT_DATA_FOLDER, PORTS, settings);
      if (output.is_json) output.result(JSON.stringify(findings, null, 2));
      else {
        for (const { subject, state, detail, remedy } of findings) {
          output.result(`${MARKS[state]} ${subject.padEnd(22)} ${detail}${remedy ? `\n    ${remedy}` : ""}`);
        }
      }
      const missing = findings.filter(({ state }) => state === "missing");
      if (missing.length > 0) {
        throw new OperatingError("MACHINE_NOT_READY", `Missing: ${missing.map(({ subject }) => subject).join(", ")}`, {
          next_step: "Follow the advice below each line marked ✗, then run doctor again.",
        });
      }
    });
}
