import { systemClock } from "../src/base/clock.ts";
import { qualityPython } from "../src/quality/install.ts";
import { sparkPython } from "../src/transform/engine.ts";

/** Installs the tools that DAG tasks need when the image is built; otherwise the first task of each container would. */
const options = { clock: systemClock, say: (text: string) => console.log(text) };
await sparkPython(options);
await qualityPython(options);
