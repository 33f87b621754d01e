import type { Catalog } from "../../catalog/catalog.ts";
import { HiveStore } from "../../catalog/hive/store.ts";
import { OperatingError } from "../../errors.ts";
import type { Lake } from "../../lake/lake.ts";
import { LAYERS } from "../../lake/layers.ts";
import { openKafkaLog, type KafkaLog } from "../../log/kafka/log.ts";
import type { StepListener } from "../../steps.ts";
import type { Environment } from "../open.ts";

export interface ClusterParts {
  kafka: KafkaLog;
  /** `host:port`, by comma: where Spark finds what `kafka` finds. */
  kafka_brokers: string;
  /** `sc://host:port` */
  spark_remote: string;
  /** Marks the catalog's namespaces as this lake's, where they are new. Throws TABLES_OF_ANOTHER_LAKE. */
  claimTables(catalog: Catalog, lake: Lake): Promise<void>;
}

/** Property of a namespace: whose tables it holds. */
const LAKE_PROPERTY = "coinlake.lake";

const VARIABLES = ["COINLAKE_KAFKA_BROKERS", "COINLAKE_HIVE_URI", "SPARK_REMOTE"] as const;

/** Connects to the servers that the environment names. Throws CLUSTER_NOT_FOUND, LOG_UNREACHABLE, BAD_REQUEST. */
export async function openClusterParts(lake: Lake, env: Environment, step: StepListener): Promise<{ store: HiveStore; log: KafkaLog; cluster: ClusterParts }> {
  const [kafka_brokers = "", uri = "", spark_remote = ""] = VARIABLES.map((name) => env[name]);
  const missing = VARIABLES.filter((name) => !env[name]);
  if (missing.length > 0) throw clusterNotFound(missing);
  const store = new HiveStore({ uri, warehouse: lake.warehouse });
  const kafka = await openKafkaLog({ brokers: kafka_brokers.split(","), step });
  return { store, log: kafka, cluster: { kafka, kafka_brokers, spark_remote, claimTables } };
}

/** A metastore's namespaces are named like the layers, and so it holds the tables of one lake: real and simulated data never mix. */
async function claimTables(catalog: Catalog, { name }: Lake): Promise<void> {
  for (const layer of LAYERS) {
    if (!(await catalog.hasNamespace([layer]))) {
      await catalog.createNamespace([layer], { [LAKE_PROPERTY]: name });
      continue;
    }
    const owner = (await catalog.namespaceProperties([layer]))[LAKE_PROPERTY];
    if (owner === undefined) await catalog.changeNamespaceProperties([layer], { updates: { [LAKE_PROPERTY]: name }, removals: [] });
    else if (owner !== name) throw tablesOfAnotherLake(owner, name);
  }
}

function clusterNotFound(missing: readonly string[]): OperatingError {
  return new OperatingError("CLUSTER_NOT_FOUND", `The lake lies in a cluster, and nothing says where that is: ${missing.join(", ")} not set.`, {
    next_step: "Start it with `npm run -s coinlake -- cluster up --native`, or set the variables to where it runs.",
  });
}

function tablesOfAnotherLake(owner: string, name: string): OperatingError {
  return new OperatingError("TABLES_OF_ANOTHER_LAKE", `The cluster holds the tables of the lake "${owner}", and a cluster holds one lake: "${name}" does not mix with it.`, {
    next_step: `Start the source of "${owner}" again; or empty the cluster with \`cluster down --native --purge\`; or start another in another folder with --data.`,
  });
}
