import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";
import { coinlake, type Finished } from "./coinlake.ts";
import { withClockOff } from "./faketime.ts";

export interface WarmRequest {
  args: readonly string[];
  env: NodeJS.ProcessEnv;
}

/** Commands that exit by themselves and start no other process. */
const WARM_KINDS: ReadonlySet<string> = new Set([
  "alerts",
  "ask",
  "backup",
  "doctor",
  "move",
  "query",
  "restore",
  "rules",
  "verify",
]);
const CHILD = join(projectFolder(), "test", "support", "warm-coinlake-child.ts");

const tested_kinds = new Set<string>();

/**
 * A long-lived process that runs command lines, so that a test file pays the start cost (one second of CPU) once. For
 * commands that read no standard input and wait for no signal.
 */
export class WarmProcess {
  readonly #clock_offset_s: number;
  #running: ChildProcess | null = null;
  /** The end of the queue: a process has one standard output, so it runs one command at a time. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `clock_offset_s` is how far the process's clock is ahead of the machine's; see `faketime.ts`. */
  constructor(clock_offset_s = 0) {
    this.#clock_offset_s = clock_offset_s;
  }

  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
    const finished = this.#queue.then(() => this.#request({ args, env }));
    this.#queue = finished.catch(() => {});
    return finished;
  }

  #request(message: WarmRequest): Promise<Finished> {
    const child = (this.#running ??= start(this.#clock_offset_s));
    child.ref();
    child.channel?.ref();
    return new Promise<Finished>((resolve, reject) => {
      const end = (): void => {
        child.off("message", answered);
        child.off("exit", died);
        child.unref();
        child.channel?.unref();
      };
      const answered = (finished: Finished): void => {
        end();
        resolve(finished);
      };
      const died = (code: number | null): void => {
        end();
        this.#running = null;
        reject(new Error(`coinlake ${message.args.join(" ")} ended its process with ${code}`));
      };
      child.on("message", answered);
      child.on("exit", died);
      child.send(message);
    });
  }
}

const warm = new WarmProcess();

/** Runs a command line in the test file's warm process. A test file also runs each kind of command in its own. */
export function warmCoinlake(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return warm.run(args, env);
}

/**
 * Runs the first command of each kind in a separate process, and later ones in the warm process if the kind allows it.
 */
export function coinlakeByKind(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const [kind = ""] = args;
  const is_tested = tested_kinds.has(kind);
  tested_kinds.add(kind);
  return is_tested && WARM_KINDS.has(kind) ? warmCoinlake(args, env) : coinlake(args, env);
}

function start(clock_offset_s: number): ChildProcess {
  const { command, args, env } = withClockOff(clock_offset_s, [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    CHILD,
  ]);
  return spawn(command, args, {
    cwd: projectFolder(),
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}
