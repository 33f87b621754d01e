import { onAbort } from "../../base/abortable.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Sink } from "../sink.ts";
import { DeliveryFailed, type Attempt, type DeliveryMessage } from "./message.ts";

/** Environment variables that a program needs to run. It does not get the keys and tokens of this process. */
const INHERITED = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SystemRoot", "TEMP", "USERPROFILE"];

/**
 * Runs a program without a shell, so that the text of an alert is never a command. Its standard input is the message as
 * JSON.
 */
export async function runCommand(
  sink: Extract<Sink, { kind: "command" }>,
  message: DeliveryMessage,
  { signal }: Attempt,
): Promise<void> {
  const [program = "", ...args] = sink.argv;
  const env = Object.fromEntries(
    INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  let child: ChildProcess | undefined;
  const kill = () => {
    if (child?.pid !== undefined) killGroup(child.pid);
  };
  const stopListening = onAbort(signal, kill);
  try {
    // A separate process group, so that its children end with it. spawn throws some errors at once and emits others
    // later.
    child = spawn(program, args, { env, shell: false, detached: true, stdio: ["pipe", "ignore", "ignore"] });
    // Absent where the program could not start. A program need not read its input.
    const { stdin } = child;
    stdin?.on("error", () => stdin.destroy());
    stdin?.end(`${JSON.stringify(message)}\n`);
    const [code, killed_by] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    if (signal.aborted) throw new DeliveryFailed("did not end in time");
    if (code !== 0)
      throw new DeliveryFailed(killed_by === null ? `ended with exit code ${code}` : `was ended by ${killed_by}`);
  } catch (error) {
    if (error instanceof DeliveryFailed) throw error;
    throw new DeliveryFailed(
      `could not be started: ${error instanceof Error && "code" in error ? String(error.code) : "unknown"}`,
    );
  } finally {
    stopListening();
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch (error) {
    // The process has ended meanwhile, or runs as another user and cannot be killed.
    if (!(error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM"))) throw error;
  }
}
