/** Environment variables by name, from the process or from the folder of a running cluster. */
export type { Environment } from "../base/settings.ts";
