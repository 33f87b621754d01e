import { copyFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OperatingError } from "../../base/errors.ts";
import { fetchWithMaven } from "../fetch/maven.ts";
import { probe } from "../machine/probe.ts";
import { findJava, log4jProperties } from "../machine/java.ts";
import { findTar } from "../machine/tar.ts";
import { runTool } from "../machine/tool.ts";
import { servicePort, type Service, type ServiceContext } from "../service.ts";

const VERSION = "4.0.1";
const ARCHIVE = `hive-standalone-metastore-server-${VERSION}-bin.tar.gz`;
/** Folder of the schema scripts in the archive. */
const SCRIPTS = "scripts/metastore/upgrade/postgres";
const SETTINGS = fileURLToPath(new URL("metastore-site.xml", import.meta.url));
const HEAP = ["-Xms128m", "-Xmx512m"];
/** Packages that Hive accesses by reflection, which Java 17 closes by default. */
const OPENED = ["java.lang", "java.net", "java.util", "java.util.concurrent"].flatMap((name) => [
  "--add-opens",
  `java.base/${name}=ALL-UNNAMED`,
]);
const PURPOSE = "runs the Hive Metastore";

/** The Hive Metastore: the catalog that Spark and Coinlake share. */
export const hive: Service = {
  name: "hive",
  title: "Hive Metastore",
  version: VERSION,
  needs: ["minio", "postgres"],
  ports: [servicePort("hive", "COINLAKE_HIVE_PORT")],
  stop_signal: "SIGTERM",

  async fetch(cache) {
    findJava(PURPOSE);
    const tar = findTar("unpacks Hive's schema");
    const folder = await fetchWithMaven(cache, "hive", VERSION, async (fetched) => {
      const archive = join(fetched, ARCHIVE);
      await runTool(
        tar,
        ["-xzf", archive, "-C", fetched, "--strip-components=1", "--wildcards", `*/${SCRIPTS}/hive-schema-*`],
        {
          failed: (last_lines) =>
            new OperatingError("FETCH_FAILED", `Hive's schema could not be unpacked from ${archive}:\n${last_lines}`, {
              next_step: "Check that the disk has free space, then run this again.",
            }),
        },
      );
      rmSync(archive);
    });
    return { folder, version: VERSION };
  },

  async configure(context) {
    writeFileSync(join(context.folder, "log4j2.properties"), log4jProperties(context.folder));
    copyFileSync(SETTINGS, join(context.folder, "metastore-site.xml"));
    const done_file = join(context.folder, "schema.version");
    if (existsSync(done_file)) return;
    const tool = "org.apache.hadoop.hive.metastore.tools.schematool.MetastoreSchemaTool";
    await runTool(findJava(PURPOSE), [...jvm(context), tool, "-dbType", "postgres", "-initOrUpgradeSchema"], {
      env: environment(context),
      failed: (last_lines) =>
        new OperatingError(
          "SERVICE_NOT_CONFIGURED",
          `The metastore's schema could not be made in PostgreSQL:\n${last_lines}`,
          {
            next_step:
              "If it was stopped half-way before, `coinlake cluster down --native --purge` starts from nothing.",
          },
        ),
    });
    writeFileSync(done_file, `${VERSION}\n`);
  },

  command: (context) => ({
    program: findJava(PURPOSE),
    args: [...HEAP, ...jvm(context), "org.apache.hadoop.hive.metastore.HiveMetaStore"],
    env: environment(context),
  }),

  /** The metastore needs its database to answer this call. */
  async isHealthy({ ports }) {
    const answer = await probe(ports.hive ?? 0, thriftCall("get_all_databases"));
    return isThriftList(answer);
  },

  provides: ({ ports }) => ({ COINLAKE_HIVE_URI: `thrift://127.0.0.1:${ports.hive}` }),
};

function jvm(context: ServiceContext): string[] {
  const properties = [
    `-Dmetastore.home=${context.files}`,
    `-Dlog4j2.configurationFile=${join(context.folder, "log4j2.properties")}`,
  ];
  return [...properties, ...OPENED, "-cp", `${context.folder}:${join(context.files, "*")}`];
}

/** Variables that `metastore-site.xml` refers to, and those that Hive's own scripts would set. */
function environment({ files, folder, ports, environment: found }: ServiceContext): Record<string, string> {
  return {
    ...found,
    COINLAKE_BIND_HOST: "127.0.0.1",
    COINLAKE_HIVE_PORT: String(ports.hive),
    METASTORE_HOME: files,
    METASTORE_CONF_DIR: folder,
  };
}

const CALL = 0x80010001;
const REPLY = 0x80010002;
const LIST = 15;

/**
 * A call without arguments in Thrift's binary protocol (thrift.apache.org: strict message, sequence number 1, no
 * fields).
 */
function thriftCall(name: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(CALL, 0);
  head.writeUInt32BE(name.length, 4);
  return Buffer.concat([head, Buffer.from(name), Buffer.from([0, 0, 0, 1, 0])]);
}

/** Whether the response is a reply whose result (field 0) is a list, rather than an exception. */
function isThriftList(answer: Buffer): boolean {
  const name_length = answer.readUInt32BE(4);
  const field_at = 8 + name_length + 4;
  return (
    answer.readUInt32BE(0) === REPLY && answer.readUInt8(field_at) === LIST && answer.readUInt16BE(field_at + 1) === 0
  );
}
