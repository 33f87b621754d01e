import type { HiveDatabase } from "./service.ts";

/** Namespace properties that Hive stores in separate fields, named as in Iceberg's HiveCatalog. */
const COMMENT = "comment";
const LOCATION = "location";

/** Fields without a property keep their value in `present`. */
export function databaseWith(
  properties: Readonly<Record<string, string>>,
  present: HiveDatabase,
  default_location: string,
): HiveDatabase {
  const { [COMMENT]: description = "", [LOCATION]: location = default_location, ...parameters } = properties;
  return { ...present, description, locationUri: location, parameters };
}

/**
 * The inverse. Omits the namespace's default location, so that the result equals the original properties. Hadoop writes
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
