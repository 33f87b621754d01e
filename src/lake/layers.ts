/** Namespaces of a lake's tables, in build order. */
export const LAYERS = ["bronze", "silver", "gold"] as const;

/** Layers that dbt builds. */
export const BUILT_LAYERS = ["silver", "gold"] as const;
export type BuiltLayer = (typeof BUILT_LAYERS)[number];
