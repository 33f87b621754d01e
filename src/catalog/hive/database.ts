import type { HiveDatabase } from "./service.ts";

/** Namespace properties that Hive keeps in fields of their own, as Iceberg's HiveCatalog names them. */
const COMMENT = "comment";
const LOCATION = "location";

/** Fields that the properties do not speak of stay as they are in `present`. */
export function databaseWith(
  properties: Readonly<Record<string, string>>,
  present: HiveDatabase,
  default_location: string,
): HiveDatabase {
  const { [COMMENT]: description = "", [LOCATION]: location = default_location, ...parameters } = properties;
  return { ...present, description, locationUri: location, parameters };
}

/**
 * The inverse. A location that the namespace would have anyway is not told: so what comes out is what was put in. Hadoop writes
 * `file:/x` for `file:///x`.
 */
export function propertiesOf(
  { description = "", locationUri = "", parameters = {} }: HiveDatabase,
  default_location: string,
): Record<string, string> {
  const location = locationUri.replace(/^file:\/+/, "file:///").replace(/\/+$/, "");
  return {
    ...parameters,
    ...(description === "" ? {} : { [COMMENT]: description }),
    ...(location === "" || location === default_location ? {} : { [LOCATION]: location }),
  };
}
