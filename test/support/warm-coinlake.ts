import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";
import { coinlake, type Finished } from "./coinlake.ts";

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
let running: ChildProcess | null = null;
/** The end of the queue: a process has one standard output, so it runs one command at a time. */
let queue: Promise<unknown> = Promise.resolve();

/**
 * Runs a command line in a long-lived process, so that a test file pays the start cost (one second of CPU) once. For
 * commands that read no standard input and wait for no signal; a test file also runs each kind of command in a separate
 * process.
 */
export function warmCoinlake(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const finished = queue.then(() => request({ args, env }));
  queue = finished.catch(() => {});
  return finished;
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

function request(message: WarmRequest): Promise<Finished> {
  const child = (running ??= start());
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
      running = null;
      reject(new Error(`coinlake ${message.args.join(" ")} ended its process with ${code}`));
    };
    child.on("message", answered);
    child.on("exit", died);
    child.send(message);
  });
}

function start(): ChildProcess {
  return fork(CHILD, {
    cwd: projectFolder(),
    env: { ...process.env, NO_COLOR: "1" },
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}
