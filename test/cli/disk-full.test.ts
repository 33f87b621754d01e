import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { projectFolder } from "../../src/lake/tools.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { freshMark, untilGone } from "../crash/processes.ts";
import { eventually } from "../support/eventually.ts";

/** Mounts a small disk that only this process sees, as root or in a separate user namespace. */
const NAMESPACE = process.getuid?.() === 0 ? ["unshare", "-m"] : ["unshare", "-Urm"];
const canMount =
  process.platform === "linux" &&
  spawnSync(NAMESPACE[0] ?? "", [...NAMESPACE.slice(1), "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;
const DISK_MB = 96;
const MOST_MS = 60_000;
const STOP_MS = 20_000;

describe(
  "start on a full disk",
  { skip: canMount ? false : "mounts a small disk, which this machine does not let it" },
  () => {
    const folder = temporaryFolder();
    let child: ChildProcess;
    let url = "";
    let mark = "";
    let stderr = "";
    /** Path by which this process reaches the mounted disk. */
    let disk = "";

    before(async () => {
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const start = [
        process.execPath,
        "--disable-warning=ExperimentalWarning",
        join(projectFolder(), "src", "cli", "main.ts"),
        "start",
        "--source",
        "simulated",
      ];
      const options = ["--data", folder.path, "--catalog-port", "0", "--port", String(port), "--speed", "20"];
      const script = `mount -t tmpfs -o size=${DISK_MB}m tmpfs "${folder.path}" && exec "$@"`;
      const fresh = freshMark();
      mark = fresh.mark;
      child = spawn(NAMESPACE[0] ?? "", [...NAMESPACE.slice(1), "sh", "-c", script, "sh", ...start, ...options], {
        cwd: projectFolder(),
        env: { ...process.env, NO_COLOR: "1", ...fresh.env },
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      disk = `/proc/${child.pid}/root${folder.path}`;
      await untilReady((ready) => ready.is_ready, "ready at first");
    });
    after(async () => {
      child.kill("SIGKILL");
      await untilGone(mark);
      folder.remove();
    });

    interface Ready {
      is_ready: boolean;
      codes: string[];
    }

    async function ready(): Promise<Ready> {
      try {
        const answer = await fetch(`${url}/readyz`);
        const body = (await answer.json()) as { problems?: { code: string }[] };
        return { is_ready: answer.ok, codes: (body.problems ?? []).map(({ code }) => code) };
      } catch {
        return { is_ready: false, codes: [] };
      }
    }

    async function untilReady(isWanted: (ready: Ready) => boolean, what: string): Promise<void> {
      let last: Ready | null = null;
      const ask = async (): Promise<boolean> => {
        assert.equal(child.exitCode, null, `start ended: ${stderr}`);
        last = await ready();
        return isWanted(last);
      };
      const report = (): string => `${what}: ${JSON.stringify(last)}\n${stderr}`;
      await eventually(ask, { what: report, timeout_ms: MOST_MS, interval_ms: 100 });
    }

    /** Fills the disk. */
    function fill(): void {
      const file = openSync(join(disk, "ballast"), "a");
      try {
        for (let size = 1024 * 1024; size >= 512; size = size / 2) while (takes(file, size));
      } finally {
        closeSync(file);
      }
    }

    test("is not ready, resumes once space is free, and ends within 20 s of SIGTERM while it waits", async () => {
      fill();
      await untilReady(({ is_ready, codes }) => !is_ready && codes.includes("LOG_DISK_FULL"), "red");
      rmSync(join(disk, "ballast"));
      await untilReady(({ codes }) => !codes.some((code) => code.endsWith("_FULL")), "on its way again");
      assert.match(stderr, /simulated.* resumed/);

      fill();
      await untilReady(({ codes }) => codes.includes("LOG_DISK_FULL"), "red again");
      const stopped_ms = performance.now();
      child.kill("SIGTERM");
      const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
      assert.ok(performance.now() - stopped_ms < STOP_MS, "it ended in time");
      assert.equal(signal, null);
      assert.ok(code === 0 || code === 130, `${code}: ${stderr}`);
    });
  },
);

test(
  "the first start on a full disk prints one error with a next step",
  { skip: canMount ? false : "mounts a small disk, which this machine does not let it" },
  () => {
    const script =
      'mount -t tmpfs -o size=64k tmpfs /mnt && mkdir /mnt/x && (cat /dev/zero >/mnt/ballast 2>/dev/null; exec "$@")';
    const start = [
      join(projectFolder(), "src", "cli", "main.ts"),
      "start",
      "--source",
      "simulated",
      "--data",
      "/mnt/x",
    ];
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", ...start, "--port", "0"];
    const ran = spawnSync(NAMESPACE[0] ?? "", [...NAMESPACE.slice(1), "sh", "-c", script, "sh", ...node], {
      cwd: projectFolder(),
      env: { ...process.env, NO_COLOR: "1" },
      encoding: "utf8",
      timeout: MOST_MS,
    });
    assert.equal(ran.status, 1);
    assert.match(ran.stderr, /^error [^\n]*\/mnt\/x\/[^\n]*\n {2}next: [^\n]*space[^\n]*\n$/);
  },
);

function takes(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size, 1)) === size;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
