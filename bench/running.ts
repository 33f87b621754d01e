import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { projectFolder } from "../src/lake/tools.ts";

export interface RunningCoinlake {
  pid: number;
  /** URL of the dashboard, once it is served; rejects if the process ends before. */
  url: Promise<string>;
  /** The complete standard error of the process. */
  stderr(): string;
  /** Sends SIGINT, and resolves to the exit code. */
  stop(): Promise<number | null>;
}

const MAIN = join(projectFolder(), "src", "cli", "main.ts");

/** Runs `start` as a process on free ports. The process is killed when this one exits. */
export function startCoinlake(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): RunningCoinlake {
  const command = [
    "--disable-warning=ExperimentalWarning",
    MAIN,
    "start",
    ...args,
    "--data",
    folder,
    "--catalog-port",
    "0",
    "--port",
    "0",
  ];
  const child: ChildProcess = spawn(process.execPath, command, {
    env: { ...process.env, ...environment, NO_COLOR: "1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const exited = new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null));
    child.once("exit", (code) => resolve(code));
  });
  void exited.then(() => process.removeListener("exit", kill));
  const url = new Promise<string>((resolve, reject) => {
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      const found = /dashboard\s+(http:\/\/\S+)/.exec(stderr)?.[1];
      if (found) resolve(found);
    });
    void exited.then(() => reject(new Error(`coinlake ended:\n${stderr.slice(-2000)}`)));
  });
  url.catch(() => {});
  return {
    pid: child.pid ?? 0,
    url,
    stderr: () => stderr,
    async stop() {
      child.kill("SIGINT");
      return exited;
    },
  };
}

/** One client of the event stream; records the age of every price at its arrival. */
export class EventClient {
  readonly latencies_ms: number[] = [];
  readonly #stop = new AbortController();
  /** Rejects when the server ends the stream. */
  readonly end: Promise<void>;

  constructor(url: string) {
    this.end = this.#read(url).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
    this.end.catch(() => {});
  }

  async #read(url: string): Promise<void> {
    const response = await fetch(url, { signal: this.#stop.signal });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const arrived_ms = Date.now();
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        this.#take(text.slice(0, end), arrived_ms);
        text = text.slice(end + 2);
      }
    }
    throw new Error("the server ended the event stream");
  }

  #take(event: string, arrived_ms: number): void {
    if (!event.includes("event: ticks")) return;
    for (const [, time] of event.matchAll(/"price_at":"([^"]+)"/g))
      this.latencies_ms.push(arrived_ms - Date.parse(time ?? ""));
  }

  close(): void {
    this.#stop.abort();
  }
}

/** The value of a series of /metrics, summed over its labels; NaN where there is none. */
export function metricOf(metrics: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const series = [...metrics.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)$`, "gm"))];
  const values = series.flatMap(([, has = "", value]) =>
    wanted.every((label) => has.includes(label)) ? [Number(value)] : [],
  );
  return values.length === 0 ? NaN : values.reduce((sum, value) => sum + value, 0);
}
