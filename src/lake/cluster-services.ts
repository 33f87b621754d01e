import type { Catalog } from "../catalog/catalog.ts";
import { HiveStore } from "../catalog/hive/store.ts";
import { OperatingError } from "../base/errors.ts";
import { LAKE_PROPERTY, type Lake } from "./lake.ts";
import { LAYERS } from "./layers.ts";
import { openKafkaLog, type KafkaLog } from "../log/kafka/log.ts";
import type { StepListener } from "../base/failpoints.ts";
import type { Environment } from "./environment.ts";

export interface ClusterParts {
  kafka: KafkaLog;
  /** Comma-separated `host:port` of Kafka as seen by Spark. */
  kafka_brokers: string;
  /** `sc://host:port` */
  spark_remote: string;
  /**
   * Marks new or empty namespaces of the catalog as this lake's. Throws TABLES_OF_ANOTHER_LAKE, NAMESPACE_OF_OTHERS.
   */
  claimTables(catalog: Catalog, lake: Lake): Promise<void>;
}

const VARIABLES = ["COINLAKE_KAFKA_BROKERS", "COINLAKE_HIVE_URI", "SPARK_REMOTE"] as const;

/** Connects to the servers that the environment names. Throws CLUSTER_NOT_FOUND, LOG_UNREACHABLE, BAD_REQUEST. */
export async function openClusterParts(
  lake: Lake,
  env: Environment,
  step: StepListener,
): Promise<{ store: HiveStore; log: KafkaLog; cluster: ClusterParts }> {
  const [kafka_brokers = "", uri = "", spark_remote = ""] = VARIABLES.map((name) => env[name]);
  const missing = VARIABLES.filter((name) => !env[name]);
  if (missing.length > 0) throw clusterNotFound(missing);
  const store = new HiveStore({ uri, warehouse: lake.warehouse });
  const kafka = await openKafkaLog({ brokers: kafka_brokers.split(","), step });
  return { store, log: kafka, cluster: { kafka, kafka_brokers, spark_remote, claimTables } };
}

/**
 * A metastore's namespaces are named after the layers, so it holds the tables of only one lake: real and simulated data
 * never mix.
 */
export async function claimTables(catalog: Catalog, { name }: Lake): Promise<void> {
  for (const layer of LAYERS) {
    await createUnlessThere(catalog, layer, name);
    let owner = await ownerOf(catalog, layer);
    if (owner === undefined) {
      if ((await catalog.listTables([layer])).length > 0) throw namespaceOfOthers(layer);
      await catalog.changeNamespaceProperties([layer], { updates: { [LAKE_PROPERTY]: name }, removals: [] });
      // Read back, because a metastore has no compare-and-swap: of two concurrent lakes, one has lost.
      owner = await ownerOf(catalog, layer);
    }
    if (owner !== name) throw tablesOfAnotherLake(owner ?? "nobody", name);
  }
}

async function createUnlessThere(catalog: Catalog, layer: string, name: string): Promise<void> {
  if (await catalog.hasNamespace([layer])) return;
  try {
    await catalog.createNamespace([layer], { [LAKE_PROPERTY]: name });
  } catch (error) {
    // Another process of the same lake set the mark first.
    if (!(error instanceof OperatingError && error.code === "NAMESPACE_EXISTS")) throw error;
  }
}

async function ownerOf(catalog: Catalog, layer: string): Promise<string | undefined> {
  return (await catalog.namespaceProperties([layer]))[LAKE_PROPERTY];
}

function clusterNotFound(missing: readonly string[]): OperatingError {
  return new OperatingError("CLUSTER_NOT_FOUND", `The lake's cluster was not found: ${missing.join(", ")} not set`, {
    next_step: "Start it with `npm run -s coinlake -- cluster up --native`, or set the variables to its addresses.",
  });
}

function namespaceOfOthers(layer: string): OperatingError {
  return new OperatingError(
    "NAMESPACE_OF_OTHERS",
    `The metastore's database "${layer}" contains tables of another application`,
    {
      next_step: `Use a metastore without databases named ${LAYERS.join(", ")}; nothing was changed.`,
    },
  );
}

function tablesOfAnotherLake(owner: string, name: string): OperatingError {
  return new OperatingError(
    "TABLES_OF_ANOTHER_LAKE",
    `Cannot open the lake "${name}": the cluster holds the lake "${owner}", and a cluster holds only one lake`,
    {
      next_step:
        `Start the source of "${owner}", empty the cluster with \`cluster down --native --purge\`, or ` +
        "start another cluster with --data.",
    },
  );
}
