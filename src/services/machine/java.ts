import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { findTool } from "./tool.ts";

const JAVA_WANTED = 17;

/** Path of Java: the one of JAVA_HOME, else the one on PATH. Throws TOOL_NOT_FOUND, TOOL_TOO_OLD. */
export function findJava(purpose: string): string {
  const remedy =
    "Install Java 17 or newer (Debian and Ubuntu: `apt install openjdk-17-jre-headless`), or name one in JAVA_HOME.";
  const home = process.env.JAVA_HOME;
  const java = home ? join(home, "bin", "java") : findTool({ program: "java", purpose, remedy });
  const version = Number(/version "(?:1\.)?(\d+)/.exec(versionText(java))?.[1] ?? 0);
  if (version >= JAVA_WANTED) return java;
  throw new OperatingError(
    "TOOL_TOO_OLD",
    `${java} is Java ${version || "of an unknown version"}; ${JAVA_WANTED} or newer ${purpose}`,
    { next_step: remedy },
  );
}

/** Empty where Java does not run; the caller then finds no version in it. */
function versionText(java: string): string {
  return spawnSync(java, ["-version"], { encoding: "utf8" }).stderr ?? "";
}

/**
 * Log4j settings of a Java server: important messages go to `output.log`, beside the output of the virtual machine; all
 * others go to rolling files.
 */
export function log4jProperties(folder: string): string {
  return `status=warn
appender.console.type=Console
appender.console.name=console
appender.console.filter.threshold.type=ThresholdFilter
appender.console.filter.threshold.level=warn
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c)%n
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=${folder}/server.log
appender.file.filePattern=${folder}/server.%i.log
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %p %m (%c)%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=info
rootLogger.appenderRefs=console,file
rootLogger.appenderRef.console.ref=console
rootLogger.appenderRef.file.ref=file
`;
}
