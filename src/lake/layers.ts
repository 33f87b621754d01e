/** The namespaces of a lake's tables, in the order in which rows pass through them. */
export const LAYERS = ["bronze", "silver", "gold"] as const;

/** Those that dbt builds of bronze. */
export const BUILT_LAYERS = ["silver", "gold"] as const;
export type BuiltLayer = (typeof BUILT_LAYERS)[number];
