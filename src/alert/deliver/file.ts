import { open, type FileHandle } from "node:fs/promises";
import type { Sink } from "../sink.ts";
import { DeliveryFailed, type Attempt, type DeliveryMessage } from "./message.ts";

const NEWLINE = 0x0a;

/**
 * Appends one line of JSON for each message, exactly once: an attempt first records the file's length durably. After a
 * crash the next attempt checks from there whether the line is complete, and removes a partial line.
 */
export async function appendToFile(
  sink: Extract<Sink, { kind: "file" }>,
  message: DeliveryMessage,
  attempt: Attempt,
): Promise<void> {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  let file: FileHandle | undefined;
  try {
    file = await open(sink.path, "a+", 0o600);
    let { size } = await file.stat();
    if (attempt.resume !== null) {
      const tail = await readFrom(file, Math.min(Number(attempt.resume), size), size);
      if (tail.includes(line)) return;
      const torn = tail.lastIndexOf(NEWLINE) + 1;
      if (torn < tail.length && line.subarray(0, tail.length - torn).equals(tail.subarray(torn))) {
        size -= tail.length - torn;
        await file.truncate(size);
      }
    }
    await attempt.note(String(size));
    await file.appendFile(line);
    await sync(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && "syscall" in error)
      throw new DeliveryFailed(`could not be written: ${String(error.code)}`);
    throw error;
  } finally {
    await file?.close();
  }
}

/** Pipes and terminals cannot be synced. */
async function sync(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EINVAL")) throw error;
  }
}

async function readFrom(file: FileHandle, start: number, end: number): Promise<Buffer> {
  const buffer = Buffer.alloc(end - start);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
  return buffer.subarray(0, bytesRead);
}
