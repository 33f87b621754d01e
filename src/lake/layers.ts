/** The namespaces of a lake's tables, in the order in which rows pass through them. */
export const LAYERS = ["bronze", "silver", "gold"] as const;
