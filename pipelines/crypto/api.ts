import type { ApiResource } from "../../src/pipeline/definition.ts";
import { candles } from "./api/candles.ts";
import { coin, coins } from "./api/coins.ts";
import { unmapped } from "./api/unmapped.ts";

export const api: readonly ApiResource[] = [coins, coin, candles, unmapped];
