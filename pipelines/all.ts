import type { Pipeline } from "../src/pipeline/definition.ts";
import { crypto } from "./crypto.ts";
import { ecommerce } from "./ecommerce.ts";

/** Every pipeline that the command line can run, the default first. */
export const pipelines: readonly Pipeline[] = [crypto, ecommerce];
