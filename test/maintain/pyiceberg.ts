import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { pythonExecutable } from "../../src/lake/tools.ts";

const SCRIPT = fileURLToPath(new URL("reader.py", import.meta.url));

export interface PyIceberg {
  /** Result of an action of reader.py; rejects with PyIceberg's error. */
  call<T = unknown>(action: string, args: Record<string, unknown>): Promise<T>;
  close(): Promise<void>;
}

/** One Python process for all PyIceberg calls of a test file, because it takes seconds to start. */
export function startPyIceberg(catalog_url: string): PyIceberg {
  const child = spawn(pythonExecutable(), [SCRIPT, catalog_url], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async call<T>(action: string, args: Record<string, unknown>): Promise<T> {
      child.stdin.write(`${JSON.stringify({ do: action, ...args })}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error("PyIceberg's process has ended");
      const answer = JSON.parse(value) as { result?: T; error?: string };
      if (answer.error !== undefined) throw new Error(`PyIceberg: ${answer.error}`);
      return answer.result as T;
    },
    async close() {
      child.stdin.end();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}
