import { systemClock } from "../src/base/clock.ts";
import { qualityPython } from "../src/quality/install.ts";
import { sparkPython } from "../src/transform/engine.ts";

/**
 * Fetches what the tasks of a DAG call beside the command line, which otherwise the first task of every new container
 * would.
 */
const options = { clock: systemClock, say: (text: string) => console.log(text) };
await sparkPython(options);
await qualityPython(options);
