import { OperatingError } from "../base/errors.ts";
import type { Environment } from "../lake/environment.ts";
import { openOrCreateLake, type Lake, type Profile } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { LakeKind } from "../producer/producer.ts";
import { objectOfLocation } from "../storage/s3/location.ts";
import { environmentIn } from "./context.ts";

export interface PlaceRequest {
  pipeline: Pipeline;
  data_folder: string;
  profile: Profile;
  /** The typed S3 location; null for the profile's default. */
  warehouse: string | null;
}

/** Opens or creates the lake of a source. Throws CLUSTER_NOT_FOUND, LAKE_OF_ANOTHER_KIND, LAKE_ELSEWHERE. */
export function lakeFor(request: PlaceRequest, { kind, lake_name }: { kind: LakeKind; lake_name: string }): Lake {
  const { pipeline, data_folder, profile } = request;
  return openOrCreateLake(data_folder, {
    name: lake_name,
    kind,
    pipeline: pipeline.name,
    profile,
    warehouse: warehouseOf(request, environmentIn(data_folder)),
  });
}

/** The S3 location from --warehouse or, in a cluster, COINLAKE_WAREHOUSE; null for the lake's own folder. */
function warehouseOf({ profile, warehouse }: PlaceRequest, env: Environment): string | null {
  const location = warehouse ?? (profile === "cluster" ? (env["COINLAKE_WAREHOUSE"] ?? null) : null);
  if (location !== null) objectOfLocation(location);
  else if (profile === "cluster") throw warehouseUnknown();
  return location?.replace(/\/+$/, "") ?? null;
}

function warehouseUnknown(): OperatingError {
  return new OperatingError(
    "CLUSTER_NOT_FOUND",
    "No cluster found: COINLAKE_WAREHOUSE is not set, and the data folder has no running cluster",
    {
      next_step:
        "Start a cluster with `npm run -s coinlake -- cluster up --native`, or set COINLAKE_* to a running one.",
    },
  );
}
