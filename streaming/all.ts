import { pipelines } from "../pipelines/all.ts";
import { bronzeJob } from "./bronze.ts";

/** Every streaming query of the cluster profile. */
export const jobs = () => pipelines.map(bronzeJob);
