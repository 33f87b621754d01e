import type { LakeRequest } from "../../src/lake/lake.ts";
import type { OpenLake } from "../../src/lake/open.ts";
import type { Pipeline } from "../../src/pipeline/definition.ts";
import type { Producer } from "../../src/producer/producer.ts";
import type { Digests } from "./lake.ts";

/** The input of a recorded run, and how the lake is compared with it in the end. */
export interface Workload {
  pipeline: Pipeline;
  /** The lake that `start` makes for this input. */
  lake: LakeRequest;
  /** Writes the input that exists before the run, and the expected outcome. */
  prepare(): Promise<void>;
  /** The source in the recorded run, in small appends. It ends once a share of the input, up to 1, is in the log. */
  arriving(share: number): Promise<Producer>;
  /** The source after a power cut; it ends once the whole input is in the log. */
  whole(): Promise<Producer>;
  /** The command line that reads the whole input into a lake of the folder, and then ends. */
  start(data_folder: string): string[];
  /** Asserts that a lake that has read the whole input holds what it should. */
  compare(open: OpenLake, compared: Compared): Promise<Comparison>;
  /** Whether it leaves tables out; `verify --deep` compares these with a rebuild. */
  leaves_tables_out: boolean;
}

export interface Compared {
  /** The rows at the end of the recorded run. */
  recorded: Digests;
  /** Records in the log after the power cut. */
  kept_records: number;
  /** Of these, the first ones that the source cannot have forgotten: it had ended, and its own state was durable. */
  remembered_records: number;
}

export interface Comparison {
  /** Elements that the source read a second time, because it had lost its memory of them; they count once. */
  repeated_elements: number;
}

export interface WorkloadType {
  /** The unit of its size. */
  unit: string;
  default_size: number;
  /** The same workload for equal arguments, in every process. */
  open(folder: string, size: number): Workload;
}
