import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { OperatingError } from "../../base/errors.ts";
import { fetchWithMaven } from "../fetch/maven.ts";
import { downloadPackage } from "../fetch/python.ts";
import { findJava, log4jProperties } from "../machine/java.ts";
import { findTar } from "../machine/tar.ts";
import { runTool } from "../machine/tool.ts";
import { servicePort, type Service, type ServiceContext } from "../service.ts";
import { makeFolder } from "../../base/folder.ts";

const VERSION = "4.1.1";
const HEAP = ["-Xms256m", "-Xmx1536m", "-XX:MaxMetaspaceSize=512m", "-XX:+UseG1GC"];
/**
 * Packages that Spark accesses by reflection, which Java 17 closes by default
 * (org.apache.spark.launcher.JavaModuleOptions).
 */
const OPENED = [
  "java.io",
  "java.lang",
  "java.lang.invoke",
  "java.lang.reflect",
  "java.net",
  "java.nio",
  "java.util",
  "java.util.concurrent",
  "java.util.concurrent.atomic",
  "jdk.internal.ref",
  "sun.nio.ch",
  "sun.nio.cs",
  "sun.security.action",
  "sun.util.calendar",
].flatMap((name) => ["--add-opens", `java.base/${name}=ALL-UNNAMED`]);
const PURPOSE = "runs Spark";
const ANSWER_TIMEOUT_MS = 10_000;
/** Session of the health probe. The id is fixed, because every session costs memory. */
const HEALTH_SESSION_ID = "6b0ff6c5-9d0e-5a43-8f5e-5b7a8f1d2c01";

/**
 * Spark, controlled over Spark Connect. Its catalog `lake` has the tables of the Hive Metastore, with their files in
 * MinIO.
 */
export const spark: Service = {
  name: "spark",
  title: "Spark",
  version: VERSION,
  needs: ["minio", "hive"],
  ports: [servicePort("spark", "COINLAKE_SPARK_PORT")],
  stop_signal: "SIGTERM",

  async fetch(cache) {
    findJava(PURPOSE);
    const tar = findTar("unpacks Spark");
    const folder = await fetchWithMaven(cache, "spark", VERSION, async (fetched, tool_folder) => {
      cache.say(`fetching pyspark ${VERSION}: 455 MB, of which Spark's own jars are kept ...`);
      const archive = await downloadPackage(cache, "spark", tool_folder);
      await unpackJars(tar, archive, fetched);
      rmSync(archive);
    });
    return { folder, version: VERSION };
  },

  async configure(context) {
    // Checkpoints must survive a restart; scratch files of a killed server must not.
    makeFolder(checkpointFolder(context.folder));
    rmSync(scratchFolder(context), { recursive: true, force: true });
    mkdirSync(scratchFolder(context));
    writeFileSync(join(context.folder, "log4j2.properties"), log4jProperties(context.folder));
    const lines = Object.entries(settings(context)).map(([name, value]) => `${name} ${value}\n`);
    writeFileSync(join(context.folder, "spark.conf"), lines.join(""));
  },

  command: (context) => ({
    program: findJava(PURPOSE),
    args: [
      ...HEAP,
      ...jvm(context),
      "org.apache.spark.deploy.SparkSubmit",
      "--properties-file",
      join(context.folder, "spark.conf"),
      ...SERVER,
    ],
    // A server that finds SPARK_REMOTE starts as a client, and ends.
    env: { ...context.environment, SPARK_LOCAL_IP: "127.0.0.1", SPARK_REMOTE: undefined },
  }),

  async isHealthy({ ports }) {
    // Loaded on first use: Spark's protocol takes 60 MB of memory.
    const { SparkSession } = await import("../../spark/session.ts");
    const session = new SparkSession({
      remote: remote(ports),
      session_id: HEALTH_SESSION_ID,
      timeout_ms: ANSWER_TIMEOUT_MS,
    });
    try {
      return (await session.version()) === VERSION;
    } finally {
      session.disconnect();
    }
  },

  /** The variable that PySpark and dbt read. */
  provides: ({ ports }) => ({ SPARK_REMOTE: remote(ports) }),
};

const SERVER = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"];

function remote(ports: Readonly<Record<string, number>>): string {
  return `sc://127.0.0.1:${ports.spark}`;
}

/** Folder of the checkpoints of streaming queries, one folder for each query name; `folder` is the service's. */
export function checkpointFolder(folder: string): string {
  return join(folder, "checkpoints");
}

function scratchFolder(context: ServiceContext): string {
  return join(context.folder, "scratch");
}

/** Unpacks Spark's jars from the PySpark package: no other registry has the complete Connect server. */
async function unpackJars(tar: string, archive: string, folder: string): Promise<void> {
  mkdirSync(sparkJars(folder));
  const jars = ["--strip-components=3", "--no-wildcards-match-slash", "--wildcards", "*/deps/jars/*.jar"];
  await runTool(tar, ["-xzf", archive, "-C", sparkJars(folder), ...jars], {
    is_background: true,
    failed: (last_lines) =>
      new OperatingError("FETCH_FAILED", `Spark could not be unpacked from ${archive}:\n${last_lines}`, {
        next_step: "Check that the disk has free space, then run this again.",
      }),
  });
}

function sparkJars(files: string): string {
  return join(files, "spark");
}

/** The jars that Maven fetched precede Spark's own: the Hive client of version 4 precedes that of version 2. */
function jvm(context: ServiceContext): string[] {
  const properties = [
    `-Dlog4j2.configurationFile=${join(context.folder, "log4j2.properties")}`,
    `-Djava.io.tmpdir=${scratchFolder(context)}`,
  ];
  const modules = [
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--add-modules=jdk.incubator.vector",
    ...OPENED,
    "-Djdk.reflect.useDirectMethodHandle=false",
  ];
  return [
    ...properties,
    ...modules,
    "-cp",
    [context.files, sparkJars(context.files)].map((folder) => join(folder, "*")).join(":"),
  ];
}

/** Settings that do not depend on folders and addresses. The Docker profile uses the same ones. */
export const SPARK_SETTINGS: Readonly<Record<string, string>> = {
  "spark.master": "local[2]",
  "spark.ui.enabled": "false",
  // Sessions have fixed ids, by which streaming queries are found again. Spark rejects the id of an expired session for
  // ever.
  "spark.connect.session.manager.defaultSessionTimeout": "-1",
  "spark.sql.session.timeZone": "UTC",
  "spark.sql.shuffle.partitions": "2",
  "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
  "spark.sql.defaultCatalog": "lake",
  "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
  "spark.sql.catalog.lake.type": "hive",
  "spark.sql.catalog.lake.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
  "spark.sql.catalog.lake.s3.path-style-access": "true",
  // Other engines write these tables too.
  "spark.sql.catalog.lake.cache-enabled": "false",
  // Commits compare and swap the table's metadata location; a lock would outlive a killed writer.
  "spark.hadoop.iceberg.engine.hive.lock-enabled": "false",
};

function settings(context: ServiceContext): Record<string, string> {
  const { ports, folder, environment: found } = context;
  return {
    ...SPARK_SETTINGS,
    "spark.app.name": "coinlake",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.local.dir": scratchFolder(context),
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": String(ports.spark),
    "spark.sql.warehouse.dir": join(scratchFolder(context), "warehouse"),
    "spark.sql.streaming.checkpointLocation": pathToFileURL(checkpointFolder(folder)).href,
    "spark.sql.catalog.lake.uri": found.COINLAKE_HIVE_URI ?? "",
    "spark.sql.catalog.lake.warehouse": found.COINLAKE_WAREHOUSE ?? "",
    "spark.sql.catalog.lake.s3.endpoint": found.AWS_ENDPOINT_URL_S3 ?? "",
    "spark.sql.catalog.lake.client.region": found.AWS_REGION ?? "",
  };
}
