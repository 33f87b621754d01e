import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Frees all that nothing refers to, so that what a test then measures is what is kept. Buffers go in a second pass. */
export function collectGarbage(): void {
  gc();
  gc();
}
