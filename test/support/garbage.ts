import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Frees all unreferenced memory, so that a test measures only what is retained. Buffers are freed in a second pass. */
export function collectGarbage(): void {
  gc();
  gc();
}
