import { main } from "../../src/cli/main.ts";
import type { Finished } from "./coinlake.ts";
import type { WarmRequest } from "./warm-coinlake.ts";

/**
 * Runs the received command lines, one at a time, and returns the output that a separate process would have written.
 */
async function run({ args, env }: WarmRequest): Promise<Finished> {
  const written = { stdout: "", stderr: "" };
  const restores = [
    capture(process.stdout, (text) => (written.stdout += text)),
    capture(process.stderr, (text) => (written.stderr += text)),
  ];
  const before = { ...process.env };
  Object.assign(process.env, env);
  process.exitCode = undefined;
  try {
    await main(args);
    return { code: Number(process.exitCode ?? 0), signal: null, ...written };
  } finally {
    process.exitCode = undefined;
    for (const restore of restores) restore();
    // Includes variables that the command has set, such as the token of the catalog.
    for (const name of Object.keys(process.env)) if (before[name] === undefined) delete process.env[name];
    Object.assign(process.env, before);
  }
}

function capture(stream: NodeJS.WriteStream, add: (text: string) => void): () => void {
  const write = stream.write;
  stream.write = (chunk: Uint8Array | string, encoding?: unknown, written?: unknown): boolean => {
    add(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8"));
    const callback = typeof encoding === "function" ? encoding : written;
    if (typeof callback === "function") queueMicrotask(() => callback());
    return true;
  };
  return () => (stream.write = write);
}

// Every command adds listeners, which a process of one command drops on exit.
process.setMaxListeners(0);
process.on("message", (request: WarmRequest) => {
  void run(request).then((finished) => process.send?.(finished));
});
process.on("disconnect", () => process.exit());
